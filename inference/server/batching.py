"""Gathers waiting rows of one model into batches of similar length; no timer holds anything back.

A fixed number of lanes (threads) serve all models in turn, so that a busy model cannot starve
another. Within a model the waiting requests take turns to lead a batch, so that a request of two
thousand rows cannot starve one of a single row.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.server.refusals import overloaded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float32]

MOST_ROWS = 32  # Of one batch.
# Padded tokens of one batch. Beyond it the work falls out of the processor's cache: measured per
# row of 32 tokens, int8 MiniLM: 5.0 ms alone, 3.2 in eights, 3.5 in sixteens, 4.1 in thirty-twos.
MOST_TOKENS = 320
MOST_PADDING = 1.2  # Rows times the longest row, over the tokens that are really there.
Predict = Callable[[Sequence[Any]], "Numbers"]  # Encoded rows in, (rows, outputs) out.


@dataclass(eq=False, slots=True)
class Row:
    """One row of a request, waiting for a lane."""

    encoded: Any
    length: int  # Of a text in tokens; 1 for rows that all cost the same.
    ask: "Ask"
    position: int
    is_taken: bool = False


@dataclass(eq=False)
class Ask:
    """One request: its rows and the future that resolves to their numbers, in order."""

    future: "asyncio.Future[list[Numbers]]"
    answers: "list[Numbers | None]"
    waiting: deque[Row] = field(default_factory=deque)
    missing: int = 0

    def settle(self, row: Row, numbers: "Numbers") -> None:
        self.answers[row.position] = numbers
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result([answer for answer in self.answers if answer is not None])

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Line:
    """The rows that wait for one model, found by length."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self.asks: deque[Ask] = deque()
        self.size = 0  # Rows waiting.
        self._by_length: dict[int, deque[Row]] = {}

    def join(self, ask: Ask, encoded: Sequence[Any], lengths: Sequence[int]) -> None:
        rows = [
            Row(one, length, ask, position)
            for position, (one, length) in enumerate(zip(encoded, lengths, strict=True))
        ]
        ask.missing = len(rows)
        ask.waiting.extend(sorted(rows, key=lambda row: row.length))
        for row in rows:
            self._by_length.setdefault(row.length, deque()).append(row)
        self.asks.append(ask)
        self.size += len(rows)

    def take(self) -> list[Row]:
        """The next batch: led by the request whose turn it is, filled with rows of like length."""
        leader = self._next_leader()
        if leader is None:
            return []
        length = leader.length
        batch = [self._taken(leader)]
        tokens, longest = length, length
        for other in sorted(self._by_length, key=lambda candidate: abs(candidate - length)):
            while len(batch) < MOST_ROWS and (row := self._peek(other)) is not None:
                padded = max(longest, other) * (len(batch) + 1)
                if padded > min(MOST_TOKENS, MOST_PADDING * (tokens + other)):
                    break
                batch.append(self._taken(row))
                tokens, longest = tokens + other, max(longest, other)
            if len(batch) == MOST_ROWS:
                break
        return batch

    def _next_leader(self) -> Row | None:
        while self.asks:
            ask = self.asks.popleft()
            while ask.waiting and ask.waiting[0].is_taken:
                ask.waiting.popleft()
            if ask.future.done():  # Its caller left, or another of its rows failed.
                self._drop(ask)
            elif ask.waiting:
                self.asks.append(ask)
                return ask.waiting[0]
        return None

    def _drop(self, ask: Ask) -> None:
        for row in ask.waiting:
            if not row.is_taken:
                self._taken(row)

    def _peek(self, length: int) -> Row | None:
        """The first waiting row of this length; forgets the length when there is none."""
        rows = self._by_length[length]
        while rows and rows[0].is_taken:
            rows.popleft()
        if rows:
            return rows[0]
        del self._by_length[length]
        return None

    def _taken(self, row: Row) -> Row:
        row.is_taken = True
        self.size -= 1
        return row


class Batcher:
    """Lanes that take turns among the models with waiting rows."""

    def __init__(self, lanes: int, most_waiting_rows: int = 16_384) -> None:
        self.most_waiting_rows = most_waiting_rows  # Per model; beyond it, requests are refused.
        self.batches = 0
        self.rows = 0
        self._lanes = lanes
        self._busy = 0
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
        self._lines: dict[str, Line] = {}
        self._turns: deque[str] = deque()  # Models with waiting rows, the next one first.

    @property
    def waiting_rows(self) -> int:
        return sum(line.size for line in self._lines.values())

    async def ask(
        self,
        model: str,
        predict: Predict,
        encoded: Sequence[Any],
        lengths: Sequence[int] | None = None,
    ) -> "list[Numbers]":
        """The numbers of each row, in order. Rows of like length (their own, unless it is given)
        share a batch.

        Raises Refusal when too many rows already wait.
        """
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = Line(predict)
            self._turns.append(model)
        if line.size and line.size + len(encoded) > self.most_waiting_rows:
            raise overloaded()
        future: asyncio.Future[list[Numbers]] = asyncio.get_running_loop().create_future()
        line.join(Ask(future, [None] * len(encoded)), encoded, lengths or [*map(len, encoded)])
        self._fill_lanes()
        return await future

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _fill_lanes(self) -> None:
        while self._busy < self._lanes and self._turns:
            model = self._turns.popleft()
            line = self._lines[model]
            batch = line.take()
            if not batch:
                del self._lines[model]  # Nothing waits; the next request opens a new line.
                continue
            self._turns.append(model)
            self._busy += 1
            asyncio.get_running_loop().create_task(self._run(line.predict, batch))

    async def _run(self, predict: Predict, batch: list[Row]) -> None:
        try:
            await self._answer(predict, batch)
        finally:
            self._busy -= 1
            self._fill_lanes()

    async def _answer(self, predict: Predict, batch: list[Row]) -> None:
        """Run the batch; when it fails, each row alone, so that one bad row harms only its own."""
        loop = asyncio.get_running_loop()
        self.batches += 1
        self.rows += len(batch)
        try:
            numbers = await loop.run_in_executor(
                self._threads, predict, [row.encoded for row in batch]
            )
        except Exception as error:  # Whatever the runtime raises belongs to the asking requests.
            if len(batch) == 1:
                batch[0].ask.fail(error)
                return
            for row in batch:
                await self._answer(predict, [row])
            return
        for row, answer in zip(batch, numbers, strict=True):
            row.ask.settle(row, answer)
