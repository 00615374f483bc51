"""A front proxy between raw sockets: what stands behind it is written out byte by byte."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import uvloop

from config.front_proxy.models import ModelsPools
from config.front_proxy.proxy import FrontProxy
from tests.inference.processes import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
WEB = b"HTTP/1.1 299 Web\r\ncontent-length: 3\r\n\r\nweb"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head + await reader.readexactly(length)


@dataclass
class Server:
    """Answers each request alike, and notes what came and on how many connections."""

    answer: bytes = OK
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await read_request(reader))
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Wire:
    """The test's side: connections to the proxy."""

    def __init__(self, front: FrontProxy, port: int) -> None:
        self.front, self.port = front, port
        self._opened: list[asyncio.StreamWriter] = []

    async def connect(self) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        return reader, writer

    async def ask(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """The answer to what is sent on a connection of its own, in these parts."""
        reader, writer = await self.connect()
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        return await answer_from(reader)

    def close(self) -> None:
        for writer in self._opened:
            writer.close()


async def answer_from(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(read_request(reader), 10)


async def ended(reader: asyncio.StreamReader, seconds: float = 10) -> bytes:
    return await asyncio.wait_for(reader.read(), seconds)


def behind_the_front(
    talk: Callable[[Wire], Awaitable[object]],
    *,
    models: Handler | None = None,
    web: Handler | None = None,
    more_models: Sequence[Handler | None] = (),
) -> object:
    """What `talk` returns; a handler that is None stands for a process that is down. Nothing may
    fail where nobody waits for it: the event loop is asked."""
    unhandled: list[dict[str, object]] = []

    async def whole() -> object:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: unhandled.append(problem))
        servers = [
            await asyncio.start_server(handler, "127.0.0.1", 0) if handler else None
            for handler in (web, models, *more_models)
        ]
        web_port, *models_ports = map(_port_of, servers)
        urls = [f"http://127.0.0.1:{port}" for port in models_ports]
        front = FrontProxy(ModelsPools(*urls), web_port)
        servers.append(await front.listen("127.0.0.1", 0))
        wire = Wire(front, _port_of(servers[-1]))
        try:
            return await talk(wire)
        finally:
            wire.close()
            await front.drain()
            for server in filter(None, servers):
                server.close()

    result = uvloop.run(whole())
    # What a test's own server raises when it is left is not the proxy's.
    assert [one for one in unhandled if "client_connected_cb" not in str(one["message"])] == []
    return result


def _port_of(server: asyncio.Server | None) -> int:
    return free_port() if server is None else server.sockets[0].getsockname()[1]


def post(path: str, body: bytes = b"{}", *headers: bytes) -> bytes:
    lines = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"Host: lathe",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])
