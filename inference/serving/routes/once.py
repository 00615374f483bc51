"""A POST that is sent twice under one Idempotency-Key is answered, and billed, once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import wraps

import orjson
from django.conf import settings
from django.db import Error
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from inference.gateway import internal_token
from inference.serving.protocol.errors import ApiError, bad_request, service_unavailable
from inference.serving.protocol.http import read_body
from inference.serving.services import Services
from web.errors import UserError
from web.idempotency import store
from web.idempotency.api import HEADER, REPLAYED, BadIdempotencyKey, is_key
from web.idempotency.fingerprint import fingerprint
from web.idempotency.store import Answer, Claim, RequestInProgress

logger = logging.getLogger(__name__)

WAIT_SECONDS, POLL_SECONDS = 60.0, 0.1  # How long the second of two twins waits for the first.
MODEL_HEADER = "x-lathe-model"
Handler = Callable[[Request], Awaitable[Response]]


def once(services: Services, post: Handler) -> Handler:
    """The same handler. Streams can be sent once only, so their keys are not looked at.

    Nobody watches whether the client of a kept answer leaves: it is written to its end for the
    second try, where a break would be billed and the second try again.
    """

    @wraps(post)
    async def post_once(request: Request) -> Response:
        if HEADER not in request.headers:
            return await post(request)
        # Known first: nobody else may send a body, store keys, or be told an answer.
        owner = await _owner_of(services, request)
        body = await read_body(request, settings.MODELS_MAX_BODY_BYTES)
        if (claim := _claim_of(request, owner, body)) is None:
            return await post(_with_body(request, body))
        if (earlier := await _begin(services, claim)) is not None:
            # Counted as any other request, and rights may have ended.
            await services.authenticate(request)
            headers = {**earlier.headers, REPLAYED: "true"}
            return Response(earlier.content, earlier.status, headers, "application/json")
        try:
            response = await post(_with_body(request, body, watches_client=False))
        except Exception:  # Refused or failed: nothing was charged. Broken off, the key stays used.
            await services.db_executor.run(store.forget, claim)
            raise
        await _finish(services, claim, response)
        return response

    return post_once


async def _owner_of(services: Services, request: Request) -> str:
    """Whose the key is. Raises ApiError (400, 401)."""
    if not is_key(request.headers[HEADER]):
        raise bad_request(BadIdempotencyKey.sentence, HEADER)
    principal = await services.lookups.authenticate(
        request.headers.get("authorization", ""), request.headers.get(internal_token.HEADER, "")
    )
    return f"inference:{principal.token_id or principal.team_id}"


def _claim_of(request: Request, owner: str, body: bytes) -> Claim | None:
    """None for a stream, and for a body that the handler refuses as no object."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict) or content.get("stream") is True:
        return None
    address = f"{request.url.path}?{request.url.query}"
    return Claim(owner, request.headers[HEADER], fingerprint("POST", address, content))


def _with_body(request: Request, body: bytes, *, watches_client: bool = True) -> Request:
    """The same request, unpacked, whose body can be read again."""
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        if not is_read:
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}
        if watches_client:
            return await request.receive()
        return await asyncio.Event().wait()  # type: ignore[return-value]  # It never comes.

    unpacked = [
        (name, value)
        for name, value in request.scope["headers"]
        if name not in (b"content-encoding", b"content-length")
    ]
    return Request({**request.scope, "headers": unpacked}, receive)


async def _begin(services: Services, claim: Claim) -> Answer | None:
    """As `store.begin`, but it waits here: the few database threads are everybody's."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return await services.db_executor.run(store.begin, claim, wait_seconds=0)
        except UserError as refusal:
            if time.monotonic() > deadline or not isinstance(refusal, RequestInProgress):
                raise ApiError(refusal.status, refusal.code, refusal.sentence) from refusal
        except Error as error:
            raise service_unavailable(
                "The database does not answer, so the key cannot be looked up. Try again."
            ) from error
        await asyncio.sleep(POLL_SECONDS)


async def _finish(services: Services, claim: Claim, response: Response) -> None:
    """Keep the answer. It is charged by now, so it is given even where it cannot be kept."""
    headers = {MODEL_HEADER: response.headers[MODEL_HEADER]}
    answer = Answer(response.status_code, bytes(response.body), headers)
    try:
        await services.db_executor.run(store.finish, claim, answer)
    except Error:
        logger.exception("An answer could not be kept: its key stays used")
