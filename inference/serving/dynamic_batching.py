"""Batches waiting rows of one model by similar length, as soon as a worker is free: no timer.

A fixed number of workers (threads) serve all models in turn, so that a busy model cannot starve
another. Within a model the waiting requests take turns to supply the head row of a batch, so that
a request of two thousand rows cannot starve one of a single row.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.serving.protocol.errors import overloaded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float32]

MAX_BATCH_ROWS = 32  # Of one batch.
# Padded tokens of one batch. Beyond it the work falls out of the processor's cache: measured per
# row of 32 tokens, int8 MiniLM: 5.0 ms alone, 3.2 in eights, 3.5 in sixteens, 4.1 in thirty-twos.
MAX_BATCH_TOKENS = 320
MAX_PADDING_RATIO = 1.2  # Rows times the longest row, over the tokens that are really there.
Predict = Callable[[Sequence[Any]], "Numbers"]  # Encoded rows in, (rows, outputs) out.


@dataclass(eq=False, slots=True)
class PendingRow:
    """One row of a request, waiting for a worker."""

    encoded: Any
    length: int  # Of a text in tokens; 1 for rows that all cost the same.
    request: "PendingRequest"
    position: int
    is_batched: bool = False


@dataclass(eq=False)
class PendingRequest:
    """One request: its rows and the future that resolves to their numbers, in order."""

    future: "asyncio.Future[list[Numbers]]"
    results: "list[Numbers | None]"
    pending_rows: deque[PendingRow] = field(default_factory=deque)
    unresolved: int = 0

    def resolve(self, row: PendingRow, numbers: "Numbers") -> None:
        self.results[row.position] = numbers
        self.unresolved -= 1
        if not self.unresolved and not self.future.done():
            self.future.set_result([answer for answer in self.results if answer is not None])

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(eq=False)
class ModelQueue:
    """The rows that wait for one model, found by length."""

    predict: Predict
    requests: deque[PendingRequest] = field(default_factory=deque)
    size: int = 0  # Rows waiting.
    _by_length: dict[int, deque[PendingRow]] = field(default_factory=dict)

    def enqueue(
        self, request: PendingRequest, encoded: Sequence[Any], lengths: Sequence[int]
    ) -> None:
        rows = [
            PendingRow(row, length, request, position)
            for position, (row, length) in enumerate(zip(encoded, lengths, strict=True))
        ]
        request.unresolved = len(rows)
        request.pending_rows.extend(sorted(rows, key=lambda row: row.length))
        for row in rows:
            self._by_length.setdefault(row.length, deque()).append(row)
        self.requests.append(request)
        self.size += len(rows)

    def next_batch(self) -> list[PendingRow]:
        """A row of the request whose turn it is, and rows of like length."""
        head = self._next_head_row()
        if head is None:
            return []
        length = head.length
        batch = [self._mark_batched(head)]
        tokens, longest = length, length
        for other in sorted(self._by_length, key=lambda candidate: abs(candidate - length)):
            while len(batch) < MAX_BATCH_ROWS and (row := self._peek(other)) is not None:
                padded = max(longest, other) * (len(batch) + 1)
                if padded > min(MAX_BATCH_TOKENS, MAX_PADDING_RATIO * (tokens + other)):
                    break
                batch.append(self._mark_batched(row))
                tokens, longest = tokens + other, max(longest, other)
            if len(batch) == MAX_BATCH_ROWS:
                break
        return batch

    def _next_head_row(self) -> PendingRow | None:
        while self.requests:
            request = self.requests.popleft()
            while request.pending_rows and request.pending_rows[0].is_batched:
                request.pending_rows.popleft()
            if request.future.done():  # Its caller left, or another of its rows failed.
                for row in request.pending_rows:
                    if not row.is_batched:
                        self._mark_batched(row)
            elif request.pending_rows:
                self.requests.append(request)
                return request.pending_rows[0]
        return None

    def _peek(self, length: int) -> PendingRow | None:
        """The first waiting row of this length; forgets the length when there is none."""
        rows = self._by_length[length]
        while rows and rows[0].is_batched:
            rows.popleft()
        if rows:
            return rows[0]
        del self._by_length[length]
        return None

    def _mark_batched(self, row: PendingRow) -> PendingRow:
        row.is_batched = True
        self.size -= 1
        return row


class DynamicBatcher:
    """Workers (threads) that take turns among the models with waiting rows."""

    def __init__(self, workers: int, max_waiting_rows: int = 16_384) -> None:
        self.max_waiting_rows = max_waiting_rows  # Per model; beyond it, requests are refused.
        self.batches = 0
        self.rows = 0
        self._worker_count = workers
        self._busy_workers = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="batch-worker")
        self._queues: dict[str, ModelQueue] = {}
        self._ready_models: deque[str] = deque()  # Models with waiting rows, the next one first.

    @property
    def waiting_rows(self) -> int:
        return sum(queue.size for queue in self._queues.values())

    async def predict(
        self,
        model: str,
        predict: Predict,
        encoded: Sequence[Any],
        lengths: Sequence[int] | None = None,
    ) -> "list[Numbers]":
        """The numbers of each row, in order. Rows of like length (their own, unless it is given)
        share a batch.

        Raises ApiError (503) when too many rows already wait.
        """
        queue = self._queues.get(model)
        if queue is None:
            queue = self._queues[model] = ModelQueue(predict)
            self._ready_models.append(model)
        if queue.size and queue.size + len(encoded) > self.max_waiting_rows:
            raise overloaded()
        future: asyncio.Future[list[Numbers]] = asyncio.get_running_loop().create_future()
        queue.enqueue(
            PendingRequest(future, [None] * len(encoded)), encoded, lengths or [*map(len, encoded)]
        )
        self._dispatch_batches()
        return await future

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _dispatch_batches(self) -> None:
        while self._busy_workers < self._worker_count and self._ready_models:
            model = self._ready_models.popleft()
            queue = self._queues[model]
            batch = queue.next_batch()
            if not batch:
                del self._queues[model]  # Nothing waits; the next request opens a new queue.
                continue
            self._ready_models.append(model)
            self._busy_workers += 1
            asyncio.get_running_loop().create_task(self._run_on_worker(queue.predict, batch))

    async def _run_on_worker(self, predict: Predict, batch: list[PendingRow]) -> None:
        try:
            await self._run_batch(predict, batch)
        finally:
            self._busy_workers -= 1
            self._dispatch_batches()

    async def _run_batch(self, predict: Predict, batch: list[PendingRow]) -> None:
        """Run the batch; when it fails, each row alone, so that one bad row harms only its own."""
        loop = asyncio.get_running_loop()
        self.batches += 1
        self.rows += len(batch)
        try:
            numbers = await loop.run_in_executor(
                self._threads, predict, [row.encoded for row in batch]
            )
        except Exception as error:  # Whatever the runtime raises belongs to the waiting requests.
            if len(batch) == 1:
                batch[0].request.fail(error)
                return
            for row in batch:
                await self._run_batch(predict, [row])
            return
        for row, answer in zip(batch, numbers, strict=True):
            row.request.resolve(row, answer)
