"""A connection handed over to the web process: bytes both ways, nothing read or changed."""

import asyncio
from typing import Protocol, cast

CONNECT_SECONDS = 5.0


class TunnelClient(Protocol):
    """The side of the client."""

    def write(self, data: bytes) -> None:
        """Pass it on to the client."""

    def end_with(self, data: bytes) -> None:
        """A last answer."""

    def end(self) -> None:
        """Nothing more is written; what still comes is dropped."""

    def pause_reading(self) -> None:
        """Take nothing more from the client for now."""

    def resume_reading(self) -> None:
        """Go on."""


class Tunnel(asyncio.Protocol):
    """The side of the web process. Made before it is connected; bytes wait for that."""

    def __init__(self, client: TunnelClient, received: bytes, refusal: bytes) -> None:
        self._client, self._refusal = client, refusal
        self._waiting = [received]
        self._transport: asyncio.Transport | None = None
        self._is_over = False

    async def connect(self, host: str, port: int) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: self, host, port)
        except OSError:
            self._client.end_with(self._refusal)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        else:
            self._transport.write(data)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """The client has left; a request under way ends."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_over:
            self._transport.abort()
            return
        self._transport.write(b"".join(self._waiting))
        self._waiting = []
        self._client.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_over:
            self._client.end()
