"""A POST that is sent twice under one Idempotency-Key is answered, and billed, once."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from functools import wraps

from django.conf import settings
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from inference.gateway import internal_token
from inference.serving.protocol.errors import ApiError, bad_request
from inference.serving.protocol.http import JsonResponse, read_body
from inference.serving.services import Services
from web.errors import UserError
from web.idempotency import store
from web.idempotency.api import HEADER, REPLAYED, BadIdempotencyKey, is_key
from web.idempotency.store import Answer, Claim, RequestInProgress

WAIT_SECONDS, POLL_SECONDS = 60.0, 0.1  # How long the second of two twins waits for the first.
Handler = Callable[[Request], Awaitable[Response]]


def once(services: Services, post: Handler) -> Handler:
    """The same handler. Streams can be sent once only: their keys are free again."""

    @wraps(post)
    async def post_once(request: Request) -> Response:
        if HEADER not in request.headers:
            return await post(request)
        claim, request = await _claim_of(services, request)
        if (earlier := await _begin(services, claim)) is not None:
            await services.authenticate(
                request
            )  # It counts as any other, and rights may have ended.
            headers = {**earlier.headers, REPLAYED: "true"}
            return Response(earlier.content, earlier.status, headers, "application/json")
        response: Response | None = None
        try:
            response = await post(request)
        finally:
            if isinstance(response, JsonResponse):
                kept = {name: response.headers[name] for name in ("x-lathe-model",)}
                answer = Answer(response.status_code, bytes(response.body), kept)
                await services.db_executor.run(store.finish, claim, answer)
            else:
                await services.db_executor.run(store.forget, claim)
        return response

    return post_once


async def _claim_of(services: Services, request: Request) -> tuple[Claim, Request]:
    """The claim of a request, and the request with its body to be read again.

    The caller is known first: nobody else may store keys, or be told an answer.
    """
    key = request.headers[HEADER]
    if not is_key(key):
        raise bad_request(BadIdempotencyKey.sentence, HEADER)
    principal = await services.lookups.authenticate(
        request.headers.get("authorization", ""), request.headers.get(internal_token.HEADER, "")
    )
    body = await read_body(request, settings.MODELS_MAX_BODY_BYTES)
    digest = hashlib.sha256(f"{request.url.path}?{request.url.query}\0".encode() + body)
    owner = f"inference:{principal.token_id or principal.team_id}"
    return Claim(owner, key, digest.hexdigest()), _with_body(request, body)


def _with_body(request: Request, body: bytes) -> Request:
    """The same request, unpacked, whose body can be read again."""
    receive: Receive = request.receive
    is_read = False

    async def receive_again() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    unpacked = [
        (name, value)
        for name, value in request.scope["headers"]
        if name not in (b"content-encoding", b"content-length")
    ]
    return Request({**request.scope, "headers": unpacked}, receive_again)


async def _begin(services: Services, claim: Claim) -> Answer | None:
    """As `store.begin`, but it waits here: the few database threads are everybody's."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return await services.db_executor.run(store.begin, claim, wait_seconds=0)
        except UserError as refusal:
            is_over = time.monotonic() > deadline or not isinstance(refusal, RequestInProgress)
            if is_over:
                raise ApiError(refusal.status, refusal.code, refusal.sentence) from refusal
        await asyncio.sleep(POLL_SECONDS)
