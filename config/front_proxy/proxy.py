"""Listens at the public port, keeps the deadlines of all connections, and ends in good order."""

import asyncio
import signal

from config.front_proxy.client import ClientConnection
from config.front_proxy.models import ModelsPools
from config.front_proxy.state import State

BACKLOG = 2048
CHECK_SECONDS = 1.0
DRAIN_SECONDS = 3.0  # The web process has as long for its requests.


class FrontProxy:
    """Between all clients and the processes that answer them."""

    def __init__(self, models: ModelsPools, web_port: int, web_host: str = "127.0.0.1") -> None:
        self.state = State(models, (web_host, web_port))
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, host: str, port: int) -> None:
        """Answer until SIGTERM or SIGINT; requests under way get their answers."""
        server, stopped = await self.listen(host, port), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()
        server.close()
        await self.drain()

    async def listen(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(CHECK_SECONDS, self._check)
        return await loop.create_server(
            lambda: ClientConnection(self.state), host, port, backlog=BACKLOG
        )

    async def drain(self) -> None:
        """End the connections: those with a request under way when it is answered."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_SECONDS
        while self.state.clients and loop.time() < deadline:
            for client in list(self.state.clients):
                client.close_if_idle()
            await asyncio.sleep(0.05)
        for client in list(self.state.clients):
            client.abort()
        if self._timer is not None:
            self._timer.cancel()
        self.state.models.close()

    def _check(self) -> None:
        """One timer for all deadlines: one for each would cost every request."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for client in list(self.state.clients):
            client.check(now)
        self.state.models.close_idle(now)
        self._timer = loop.call_later(CHECK_SECONDS, self._check)
