"""What all connections of the front proxy share."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Protocol

from config.front_proxy.models import ModelsPools

MAX_CONNECTIONS = 16_384
REST_SECONDS = 0.1  # So long a request's rest may take; then the guard watches its sender.
# A crowd of half-sent requests is handed over little by little, so that others are served between.
HAND_OVER_INTERVAL_SECONDS, HAND_OVER_AT_ONCE = 0.02, 20
MAX_HELD_BYTES = 512 * 1024**2  # Of all requests that wait for their answers.


class Client(Protocol):
    """A client's connection, as it is looked after from outside."""

    def check(self, now: float) -> None:
        """End what lasts too long by the loop's clock."""

    def close_if_idle(self) -> None:
        """End it unless a request is under way."""

    def abort(self) -> None:
        """End it now."""

    def hand_over_if_incomplete(self, request: int) -> bool:
        """Give the connection to the web process if the rest of this request has not come."""


class State:
    """Used by one event loop only."""

    def __init__(self, models: ModelsPools, web: tuple[str, int]) -> None:
        self.models, self.web = models, web  # Host and port.
        self.clients: set[Client] = set()
        self.held_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._incomplete: deque[tuple[float, Client, int]] = deque()  # In the order of their time.

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

    def await_rest(self, client: Client, request: int) -> None:
        """Hand the client over unless the rest of its request comes in time."""
        loop = asyncio.get_running_loop()
        if not self._incomplete:
            loop.call_later(HAND_OVER_INTERVAL_SECONDS, self._hand_over_overdue)
        self._incomplete.append((loop.time() + REST_SECONDS, client, request))

    def _hand_over_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        remaining = HAND_OVER_AT_ONCE
        while self._incomplete and remaining and self._incomplete[0][0] <= loop.time():
            _, client, request = self._incomplete.popleft()
            remaining -= client.hand_over_if_incomplete(request)
        if self._incomplete:
            loop.call_later(HAND_OVER_INTERVAL_SECONDS, self._hand_over_overdue)
