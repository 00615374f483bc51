"""One request's body on its way in: counted, timed, and ended where it breaks a limit."""

import asyncio
import logging

from starlette.types import Message, Receive, Scope

from web.database.pool import is_exhausted
from web.guard import rejections
from web.guard.deadlines import Deadlines
from web.guard.limits import (
    BODY_BYTES,
    LARGE_UPLOADS_PER_CALLER,
    MIN_BYTES_PER_SECOND,
    SLOW_AFTER_SECONDS,
    Limits,
    Uploads,
    Usage,
    release,
)
from web.guard.rejections import Rejection

logger = logging.getLogger(__name__)
DISCONNECT: Message = {"type": "http.disconnect"}


def declared_length(scope: Scope) -> int | None:
    """The body's size as its head says it: 0 for none, None when only its end will tell."""
    length = None
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length" and value.isdigit():
            length = int(value[:20])
    if length is None and scope["http_version"].startswith("1"):
        return 0  # HTTP/1.1 has no other way to announce a body; HTTP/2 has.
    return length


class RequestBody:
    """The `receive` of an application. A body that breaks a limit ends for the application as if
    its client had left; `rejection` then says what the client is to be told."""

    __slots__ = (
        "_address", "_deadlines", "_is_counted_as_slow", "_limits", "_receive", "_task", "_usage",
        "caller", "declared", "is_complete", "max_bytes", "received", "rejection", "scope",
        "uploads", "waited", "waiting_since",
    )  # fmt: skip

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        *,
        address: str | None,
        max_bytes: int | None,
        uploads: Uploads | None,
        limits: Limits,
        usage: Usage,
        deadlines: Deadlines,
    ) -> None:
        self.scope, self._receive, self._address = scope, receive, address
        self.max_bytes = BODY_BYTES if max_bytes is None else max_bytes
        self.uploads = uploads
        self._limits, self._usage, self._deadlines = limits, usage, deadlines
        self.declared = declared_length(scope)
        self.is_complete = self.declared == 0
        self.rejection: Rejection | None = None
        self.caller: str | None = None  # Of a large upload.
        self.received, self.waited, self.waiting_since = 0, 0.0, 0.0
        self._task: asyncio.Task[object] | None = None
        self._is_counted_as_slow = False

    async def admit(self) -> Rejection | None:
        """Why this body must not even begin; None when it may."""
        if self.declared is not None and self.declared > self.max_bytes:
            await self._allow_as_upload(self.declared)
        return self.rejection

    async def receive(self) -> Message:
        """The next part of the body; after its end, the client's disconnect."""
        if self.rejection is not None:
            return DISCONNECT
        if self.is_complete:
            return await self._receive()
        message = await self._receive_in_time()
        if message["type"] != "http.request":
            self.is_complete = True
            self._leave_slow()
            return message
        self.received += len(message.get("body", b""))
        if self.received > self.max_bytes:
            await self._allow_as_upload(self.received)
            if self.rejection is not None:
                return DISCONNECT
        if not message.get("more_body", False):
            self.is_complete = True
            self._leave_slow()
        return message

    async def _receive_in_time(self) -> Message:
        self._task = asyncio.current_task()
        self.waiting_since = asyncio.get_running_loop().time()
        self._deadlines.watch(self)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if self.rejection is None or self._task is None:
                raise
            self._task.uncancel()
            return DISCONNECT
        finally:
            self._deadlines.forget(self)
            self.waited += asyncio.get_running_loop().time() - self.waiting_since

    def check(self, now: float, *, is_loop_settled: bool) -> None:
        """Called every moment while the application waits for a part of the body."""
        stalled = now - self.waiting_since
        waited = self.waited + stalled
        allowed = self._limits.body_seconds
        if stalled > allowed or waited > allowed + self.received / MIN_BYTES_PER_SECOND:
            self._refuse(rejections.body_too_slow(allowed))
        elif waited > SLOW_AFTER_SECONDS and is_loop_settled and not self._is_counted_as_slow:
            if self._address is None:
                return
            slow = self._usage.slow_by_address
            if slow[self._address] >= self._limits.slow_bodies_per_address:
                self._refuse(rejections.TOO_MANY_SLOW_BODIES)
                return
            slow[self._address] += 1
            self._is_counted_as_slow = True

    def _refuse(self, rejection: Rejection) -> None:
        self.rejection = rejection
        if self._task is not None:
            self._task.cancel()

    async def _allow_as_upload(self, size: int) -> None:
        """Raise the limit for somebody who may upload here; else set `rejection`."""
        uploads = self.uploads
        if uploads is None or size > uploads.max_bytes:
            limit = self.max_bytes if uploads is None else uploads.max_bytes
            self.rejection = rejections.body_too_large(limit)
            return
        try:
            caller = await uploads.find_caller(self.scope)
        except Exception as error:  # Such as a database that is away: asked again, it may say yes.
            if await asyncio.to_thread(is_exhausted, error):
                self.rejection = rejections.BUSY
                return
            logger.exception("Who uploads could not be found out")
            self.rejection = rejections.CHECK_FAILED
            return
        if caller is None:
            self.rejection = rejections.sign_in_to_upload(self.max_bytes)
        elif self._usage.uploads_by_caller[caller] >= LARGE_UPLOADS_PER_CALLER:
            self.rejection = rejections.TOO_MANY_UPLOADS
        elif not uploads.has_room(size):
            self.rejection = rejections.NO_ROOM
        else:
            self._usage.uploads_by_caller[caller] += 1
            self.caller, self.max_bytes, self.uploads = caller, uploads.max_bytes, None

    def _leave_slow(self) -> None:
        if self._is_counted_as_slow and self._address:
            self._is_counted_as_slow = False
            release(self._usage.slow_by_address, self._address)

    def end(self) -> None:
        """The request is over: it counts no more."""
        self._leave_slow()
        if self.caller is not None:
            release(self._usage.uploads_by_caller, self.caller)

    async def discard(self, max_bytes: int, seconds: float) -> None:
        """Read on and drop what comes, for a while: a client that is still sending would otherwise
        never see its answer, because closing a connection with unread data resets it."""
        discarded = 0
        try:
            async with asyncio.timeout(seconds):
                while discarded <= max_bytes:
                    message = await self._receive()
                    discarded += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        self.is_complete = True
                        return
        except TimeoutError:
            return
