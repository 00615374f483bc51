"""One client's connection: small inference requests are answered by a models process one after
another; with anything else the whole connection goes to the web process."""

import asyncio
from typing import cast

import httptools

from assistants.gateway import CHAT_PATH, MARK
from config.front_proxy import refusals
from config.front_proxy.models import ModelsConnection, ModelsPool
from config.front_proxy.state import State
from config.front_proxy.tunnel import Tunnel
from inference.gateway import client_address
from inference.gateway.inference_requests import (
    DROPPED_REQUEST_HEADERS,
    TARGET,
    is_inference_path,
)
from inference.gateway.upstream.connection import (
    AnswerTooLate,
    ConnectionLost,
    NotConnected,
    UpstreamError,
)

MAX_BODY_BYTES = 256 * 1024  # What is longer is judged by the web process's guard.
MAX_HEAD_BYTES = 64 * 1024
FIRST_REQUEST_SECONDS, IDLE_SECONDS = 30.0, 75.0
ANSWER_SECONDS = 120.0  # Without a byte; a stream may last longer.
# Read on after a last answer, so that it is seen: closing with unread data resets a connection.
DISCARD_BYTES, DISCARD_SECONDS = 1024**2, 2.0
METHODS = {b"GET", b"POST", b"DELETE"}
OWN_FRAMING = {b"transfer-encoding", b"expect", b"upgrade"}


class ClientConnection(asyncio.Protocol):
    """Reads a request, has it answered, reads the next; or is a tunnel's one end for good."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._transport: asyncio.Transport
        self._address: client_address.Address = ("", 0)
        self._tunnel: Tunnel | None = None
        self._pool: ModelsPool | None = None  # Where the request under way was sent.
        self._connection: ModelsConnection | None = None
        self._tried: set[str] = set()
        self._is_asking = self._has_begun = self._is_slow = self._is_new = self._was_lost = False
        self._is_ending, self._discarded = False, 0
        self._deadline = 0.0
        self._held_bytes = 0
        self._next = b""  # Came while the request before was being answered.
        self._parser = httptools.HttpRequestParser(self)
        self._request_number = 0
        self._awaits_rest = False
        self._begin_request()

    def _begin_request(self) -> None:
        self._received = b""  # The request as it came, for the web process.
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._has_head = self._is_whole = self._is_for_web = self._awaits_rest = False
        self._request_number += 1

    # Reading a request

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            self._discarded += len(data)
            if self._discarded > DISCARD_BYTES:
                self._transport.close()
        elif self._tunnel is not None:
            self._tunnel.send(data)
        elif self._is_asking:
            self._next += data
            if len(self._next) > MAX_HEAD_BYTES:
                self.pause_reading()
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_for_web = True
        except httptools.HttpParserError:
            if not self._is_for_web:
                self.end_with(refusals.MALFORMED)
                return
        if self._is_for_web:
            self._hand_over()
        elif self._is_whole:
            self._answer()
        elif self._has_head:
            if not self._awaits_rest:
                self._awaits_rest = True
                self._state.await_rest(self, self._request_number)
        elif len(self._received) > MAX_HEAD_BYTES:
            self.end_with(refusals.HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._is_for_web |= self._is_whole  # Several requests at once: they keep their order there.

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._has_head = True
        path = self._url.partition(b"?")[0]
        if (
            not is_inference_path(path.decode("latin-1"))
            or b"%" in path
            or not TARGET.fullmatch(self._url)
            or self._parser.get_method() not in METHODS
            or self._parser.get_http_version() != "1.1"
            or not self._parser.should_keep_alive()
        ):
            self._is_for_web = True
            return
        for name, value in self._headers:
            if name in OWN_FRAMING or (name == b"content-length" and int(value) > MAX_BODY_BYTES):
                self._is_for_web = True

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        self._is_whole = True
        if self._url.startswith(CHAT_PATH.encode()) and MARK in b"".join(self._body):
            self._is_for_web = True

    # Having it answered

    def _answer(self) -> None:
        self._awaits_rest = False
        if not self._state.may_hold(len(self._received)):
            self._hand_over()
            return
        self._held_bytes = len(self._received)
        self._state.held_bytes += self._held_bytes
        self._is_asking, self._has_begun, self._was_lost = True, False, False
        self._deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        self._tried = set()
        self._ask_next(ConnectionLost("MODELS_URL is empty"))

    def _ask_next(self, failure: UpstreamError) -> None:
        """Have it answered by a models process that was not tried; else tell of this failure."""
        self._pool = pool = self._state.models.choose(self._tried)
        if pool is None:
            self.end_with(refusals.upstream_failure(failure))
            return
        connection = None if self._was_lost else pool.take_idle()
        if connection is None:
            self._state.run(self._ask_on_new_connection(pool))
        else:
            self._ask(pool, connection, is_new=False)

    def _ask(self, pool: ModelsPool, connection: ModelsConnection, *, is_new: bool) -> None:
        self._connection, self._is_new = connection, is_new
        connection.ask(self, self._request_bytes(pool))
        if self._is_slow:  # It has not read the answer before.
            connection.pause()

    def _request_bytes(self, pool: ModelsPool) -> bytes:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        lines = [
            b"%s %s HTTP/1.1" % (self._parser.get_method(), self._url),
            b"host: " + pool.host_header,
            b"content-length: %d" % len(body),
            self._client_header,
            *(
                name + b": " + value
                for name, value in self._headers
                if name not in DROPPED_REQUEST_HEADERS
            ),
            b"",
            body,
        ]
        return b"\r\n".join(lines)

    async def _ask_on_new_connection(self, pool: ModelsPool) -> None:
        try:
            connection = await pool.connect()
        except UpstreamError as error:
            if self._is_asking:
                self.fail_exchange(error)
            return
        if not self._is_asking:  # The client has left.
            pool.keep(connection)
            return
        self._ask(pool, connection, is_new=True)

    def pass_on(self, data: bytes) -> None:
        self._has_begun = True
        self._deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        self._transport.write(data)

    def end_exchange(self, *, is_reusable: bool) -> None:
        self._leave_exchange()
        if not is_reusable:
            self.close()
            return
        self._deadline = asyncio.get_running_loop().time() + IDLE_SECONDS
        self._begin_request()
        if self._next:
            data, self._next = self._next, b""
            self.resume_reading()
            self._read(data)

    def fail_exchange(self, error: UpstreamError) -> None:
        """Another process is asked if nothing was sent; what was sent is sent once more if no byte
        of the answer came: only then is it certain that this answers once. It is not sent again and
        again, because it may be what ends a process."""
        pool, is_away = self._pool, isinstance(error, NotConnected)
        self._leave_pool(is_away=is_away)
        may_ask_again = isinstance(error, ConnectionLost) and not self._was_lost
        if self._has_begun:
            self.close()  # Half an answer cannot be taken back.
        elif pool is None or not (is_away or may_ask_again):
            self.end_with(refusals.upstream_failure(error))
        else:
            # A server may close a kept connection in the moment it is used: it is not tried then.
            if is_away or self._is_new:
                self._tried.add(pool.url)
            self._was_lost |= not is_away
            self._ask_next(error)

    def _leave_pool(self, *, is_away: bool = False) -> None:
        if self._pool is not None:
            self._state.models.leave(self._pool, is_away=is_away)
        self._pool = self._connection = None

    def _leave_exchange(self) -> None:
        self._leave_pool()
        self._state.held_bytes -= self._held_bytes
        self._is_asking, self._held_bytes = False, 0

    def _hand_over(self) -> None:
        """The connection is the web process's from here on."""
        self.pause_reading()  # Until that process is reached.
        # The first head names the client.
        line, end, rest = self._received.lstrip(b"\r\n").partition(b"\n")
        address = client_address.header_value(self._address)
        received = line + end + client_address.HEADER + b": " + address + b"\r\n" + rest
        self._tunnel = Tunnel(self, received, refusals.web_unreachable(self._url))
        self._begin_request()
        self._state.run(self._tunnel.connect(*self._state.web))

    def hand_over_if_incomplete(self, request: int) -> bool:
        """Whether it was; the rest of this request did not come in time."""
        is_due = self._awaits_rest and self._request_number == request
        if is_due:
            self._hand_over()
        return is_due

    # The connection itself

    def check(self, now: float) -> None:
        """Called every moment: end what lasts too long."""
        if self._is_ending and now > self._deadline:
            self.abort()
        if self._is_ending or self._tunnel is not None or now < self._deadline:
            return
        if self._is_slow:  # It reads nothing: what is held for it would be held for ever.
            self.abort()
        elif self._connection is not None:
            self._connection.abort()
            self.fail_exchange(AnswerTooLate("no answer in time"))
        elif not self._is_asking:
            self.close()

    def close_if_idle(self) -> None:
        if self._tunnel is None and not self._is_asking:
            self.close()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def end_with(self, data: bytes) -> None:
        """A last answer."""
        self._leave_exchange()
        if not self._transport.is_closing():
            self._transport.write(data)
            self.end()

    def end(self) -> None:
        """Nothing more is written; what still comes is read for a while and dropped."""
        if self._transport.is_closing() or self._is_ending:
            return
        self._is_ending = True
        self._deadline = asyncio.get_running_loop().time() + DISCARD_SECONDS
        self._transport.write_eof()
        self._transport.resume_reading()

    def close(self) -> None:
        """After all that was written has gone out."""
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._state.is_full:
            self._transport.abort()
            return
        self._state.clients.add(self)
        self._address = (transport.get_extra_info("peername") or ("", 0))[:2]
        value = client_address.header_value(self._address)
        self._client_header = client_address.HEADER + b": " + value
        self._deadline = asyncio.get_running_loop().time() + FIRST_REQUEST_SECONDS

    def connection_lost(self, error: Exception | None) -> None:
        self._state.clients.discard(self)
        self._awaits_rest = False
        if self._connection is not None:
            self._connection.abort()
        self._leave_exchange()
        if self._tunnel is not None:
            self._tunnel.close()

    def pause_writing(self) -> None:
        """The client reads slowly: so does this."""
        self._is_slow = True
        self._deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        if (source := self._connection or self._tunnel) is not None:
            source.pause()

    def resume_writing(self) -> None:
        self._is_slow = False
        self._deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        if (source := self._connection or self._tunnel) is not None:
            source.resume()
