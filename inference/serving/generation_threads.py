"""Threads that wait for the tokens of language models, each request in one of them."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from starlette.requests import ClientDisconnect

from inference.serving.protocol.errors import (
    ApiError,
    generation_overloaded,
    too_many_answers,
)

Chunk = TypeVar("Chunk")
WRITER_THREADS = 128  # They wait; what computes is a thread of each model.
MAX_WAITING = WRITER_THREADS  # Requests that are being answered or wait for a place.
MAX_PER_TEAM = 32  # Of them of one team.


class GenerationThreads:
    """A pool of threads and the queue of answers before it. The computing is done by each model's
    own thread, for all of its answers together; those here only wait for it."""

    def __init__(self) -> None:
        self._of_team: Counter[UUID] = Counter()  # Answers under way.
        self._threads = ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="writer")

    @property
    def waiting(self) -> int:
        return self._of_team.total()

    @contextlib.contextmanager
    def _admit(self, team: UUID) -> Iterator[None]:
        """Count one more answer of the team until the block ends. Raises ApiError: 429 for a team
        that has its share, 503 when too much waits altogether."""
        if self._of_team[team] >= MAX_PER_TEAM:
            raise too_many_answers(MAX_PER_TEAM)
        if self.waiting >= MAX_WAITING:
            raise generation_overloaded()
        self._of_team[team] += 1
        try:
            yield
        finally:
            self._of_team[team] -= 1
            self._of_team += Counter()  # Forget teams that ask for nothing.

    async def stream(
        self, source: Generator[Chunk], disconnect: Coroutine[Any, Any, None], team: UUID
    ) -> AsyncGenerator[Chunk]:
        """Yield what the source yields, as it comes.

        Raises ApiError when the team has its share of answers under way (429) or too many wait
        (503), and ClientDisconnect when `disconnect` returns; the source is then asked for nothing
        more.
        """
        loop, stopped = asyncio.get_running_loop(), threading.Event()
        queue: asyncio.Queue[Chunk | BaseException | None] = asyncio.Queue()

        def put(item: Chunk | BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has closed: nobody waits.
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def generate() -> None:
            try:
                with contextlib.closing(source):  # At once: that ends the writing elsewhere, too.
                    for chunk in () if stopped.is_set() else source:
                        put(chunk)
                        if stopped.is_set():
                            return
                put(None)
            except BaseException as error:  # noqa: BLE001  Raised again where it is awaited.
                put(error)

        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._admit(team))
            except ApiError:
                disconnect.close()
                raise
            client = loop.create_task(disconnect)
            client.add_done_callback(lambda _: queue.put_nowait(ClientDisconnect()))
            try:
                self._threads.submit(generate)
                while (item := await queue.get()) is not None:
                    if isinstance(item, BaseException):
                        raise item
                    yield item
            finally:
                client.cancel()
                stopped.set()

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
