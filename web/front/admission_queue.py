"""Limits how many requests of a kind run at once, and how many wait for their turn.

A request that finds the queue full is refused at once, before it costs a thread or a connection:
the waiting ones are then served in time, where otherwise all would wait too long.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import BoundedSemaphore

from web.database.pool import DatabaseBusy, lend_connection


class QueueIsFull(DatabaseBusy):
    sentence = "Too many questions are being answered at once. Ask again in a moment."


class AdmissionQueue:
    """`at_once` are under way and `longest` wait, each at most `seconds`; of those under way, at
    most `elsewhere` at once lend their place while they wait for something slow.

    Its methods run in the event loop, whose one thread needs no lock."""

    def __init__(self, *, at_once: int, longest: int, seconds: float, elsewhere: int = 64) -> None:
        self._at_once, self._longest, self._seconds = at_once, longest, seconds
        self._under_way = 0
        self.may_lend = BoundedSemaphore(elsewhere)
        self._turns: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises QueueIsFull, at once or when the wait for a place took too long."""
        await self._wait_for_turn()
        place = _Place(self, asyncio.get_running_loop())
        token = _current.set(place)
        try:
            yield
        finally:
            _current.reset(token)
            self.free()

    async def _wait_for_turn(self) -> None:
        if self._under_way < self._at_once:
            self._under_way += 1
            return
        if len(self._turns) >= self._longest:
            raise QueueIsFull
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # Given in the moment of giving up.
                self.free()
            elif turn in self._turns:
                self._turns.remove(turn)
            if isinstance(error, TimeoutError):
                raise QueueIsFull from None
            raise

    def free(self) -> None:
        """Give a place back."""
        self._under_way -= 1
        while self._turns and self._under_way < self._at_once:
            turn = self._turns.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)

    def take(self) -> None:
        """Take a place without waiting: a request is not refused half done."""
        self._under_way += 1


@dataclass
class _Place:
    queue: AdmissionQueue
    loop: asyncio.AbstractEventLoop


_current: ContextVar[_Place | None] = ContextVar("admission_queue_place", default=None)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Lend this thread's connection and place to others while it waits for something slow."""
    lend_connection()
    place = _current.get()
    if place is None or not place.queue.may_lend.acquire(blocking=False):
        yield
        return
    place.loop.call_soon_threadsafe(place.queue.free)
    try:
        yield
    finally:
        place.loop.call_soon_threadsafe(place.queue.take)
        place.queue.may_lend.release()
