"""What all connections of the front proxy share."""

import asyncio
from collections.abc import Coroutine
from typing import Protocol

from config.front_proxy.models import ModelsPool

MAX_CONNECTIONS = 16_384
MAX_HELD_BYTES = 512 * 1024**2  # Of all requests that wait for their answers.


class Client(Protocol):
    """A client's connection, as it is looked after from outside."""

    def check(self, now: float) -> None:
        """End what lasts too long by the loop's clock."""

    def close_if_idle(self) -> None:
        """End it unless a request is under way."""

    def abort(self) -> None:
        """End it now."""


class State:
    """Used by one event loop only."""

    def __init__(self, models: ModelsPool, web_port: int) -> None:
        self.models, self.web_port = models, web_port
        self.clients: set[Client] = set()
        self.held_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        return len(self.clients) >= MAX_CONNECTIONS

    def may_hold(self, size: int) -> bool:
        return self.held_bytes + size <= MAX_HELD_BYTES

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Do it beside everything else; it must not fail."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
