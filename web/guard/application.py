"""The guard: an ASGI application around another one, the same in the web and the models process.

Body size (413), body deadline (408), requests by client address (429) and in all (503) are decided
here, before the application has read a byte, started a thread or opened a database connection.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.guard import rejections
from web.guard.deadlines import Deadlines
from web.guard.limits import Limits, Uploads, Usage, no_body_limit_of_its_own, release
from web.guard.rejections import Rejection
from web.guard.request_body import RequestBody
from web.guard.trusted_proxies import TrustedProxies, count_key

logger = logging.getLogger(__name__)

# Always answered: they say whether this process lives, and whether it can serve.
HEALTH_PATHS = {"/healthz", "/readyz"}
DISCARD_BYTES, DISCARD_SECONDS = 1024**2, 2.0  # Read on after a rejection, so that it is seen.
LOG_INTERVAL_SECONDS = 10.0  # One line about rejections in so much time: an attack fills no log.


class Guard:
    """Wraps an ASGI application.

    `max_body_bytes` gives a path's own limit, `uploads` where more is accepted and from whom,
    `is_admitted` whether another guard has already counted this request by its client's address.
    """

    def __init__(
        self,
        application: ASGIApp,
        *,
        limits: Limits,
        proxies: TrustedProxies,
        max_body_bytes: Callable[[str], int | None] = no_body_limit_of_its_own,
        uploads: Uploads | None = None,
        is_admitted: Callable[[Scope], bool] = lambda scope: False,
        has_pages: bool = True,
    ) -> None:
        self._application = application
        self._limits, self._proxies = limits, proxies
        self._max_body_bytes, self._uploads = max_body_bytes, uploads
        self._is_admitted, self._has_pages = is_admitted, has_pages
        self._usage, self._deadlines = Usage(), Deadlines()
        self._refused, self._logged_at = 0, 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        client = self._proxies.client_of(scope)
        # Everything behind the guard sees this address and believes no header about it.
        scope["client"] = (client, (scope.get("client") or ("", 0))[1])
        address = None if self._is_admitted(scope) or not client else count_key(client)
        if scope["path"] in HEALTH_PATHS:
            await self._serve(scope, receive, send, address)
            return
        rejection = self._count(address)
        if rejection is not None:
            await self._refuse(rejection, scope, send)
            return
        slot = _Slot(self._usage, address)
        try:
            await self._serve(scope, receive, slot.releasing_for_streams(send), address)
        finally:
            slot.release()
            self._usage.requests -= 1

    def _count(self, address: str | None) -> Rejection | None:
        """Count the request, or say why it is one too many."""
        if self._usage.requests >= self._limits.requests:
            return rejections.OVERLOADED
        if address is not None:
            if self._usage.by_address[address] >= self._limits.requests_per_address:
                return rejections.TOO_MANY_REQUESTS
            self._usage.by_address[address] += 1
        self._usage.requests += 1
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send, address: str | None) -> None:
        uploads = self._uploads if self._uploads and self._uploads.is_upload(scope) else None
        body = RequestBody(
            scope,
            receive,
            address=address,
            max_bytes=self._max_body_bytes(scope["path"]),
            uploads=uploads,
            limits=self._limits,
            usage=self._usage,
            deadlines=self._deadlines,
        )
        try:
            if (rejection := await body.admit()) is not None:
                await self._refuse(rejection, scope, send, body)
                return
            await self._run(scope, body, send)
        finally:
            body.end()

    async def _run(self, scope: Scope, body: RequestBody, send: Send) -> None:
        """Let the application answer; or answer instead, when its body was refused meanwhile."""
        has_begun = False

        async def send_part(message: Message) -> None:
            nonlocal has_begun
            if body.rejection is not None and not has_begun:
                return  # What it says to a client that left; the rejection is sent below.
            has_begun = True
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and not body.is_complete and body.rejection is None:
                await send({**message, "more_body": True})
                await body.discard(body.max_bytes - body.received, DISCARD_SECONDS)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._application(scope, body.receive, send_part)
        except Exception:
            if body.rejection is None or has_begun:
                raise
        if body.rejection is not None and not has_begun:
            await self._refuse(body.rejection, scope, send, body)

    async def _refuse(
        self, rejection: Rejection, scope: Scope, send: Send, body: RequestBody | None = None
    ) -> None:
        self._log(rejection, scope)
        start, content = rejections.answer(
            rejection, scope, has_pages=self._has_pages, closes=body is not None
        )
        await send(start)
        await send({"type": "http.response.body", "body": content, "more_body": body is not None})
        if body is not None:
            if not rejection.is_of_slow_body and not body.is_complete:
                await body.discard(DISCARD_BYTES, DISCARD_SECONDS)
            await send({"type": "http.response.body", "body": b""})

    def _log(self, rejection: Rejection, scope: Scope) -> None:
        self._refused += 1
        if (now := time.monotonic()) - self._logged_at >= LOG_INTERVAL_SECONDS:
            logger.warning(
                "Refused %d requests; the last: %d %s %.60s from %s",
                self._refused,
                rejection.status,
                scope["method"],
                scope["path"],
                scope["client"][0],
            )
            self._refused, self._logged_at = 0, now


@dataclass(eq=False)
class _Slot:
    """A request's place among those of its address. A live stream gives it back as it begins:
    streams are limited by person, and a company behind one address opens many."""

    _usage: Usage
    _address: str | None

    def releasing_for_streams(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in message["headers"]
            ):
                self.release()
            await send(message)

        return sending

    def release(self) -> None:
        if self._address is not None:
            release(self._usage.by_address, self._address)
            self._address = None
