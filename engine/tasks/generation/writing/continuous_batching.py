"""Continuous batching: all answers that a network is writing take each step together.

One thread for each network. A short prompt is read between two layers of the others' step, a long
one in pieces between their steps; its answer joins at the next step, and a finished one leaves at
once. A step reads all weights once for all answers,
which is nearly all that a step costs on a processor (Yu et al. 2022, "Orca").

Logits of answers that are computed together differ from those of an answer alone by rounding.
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

from engine.tasks.generation.writing.constraints import Constraint
from engine.tasks.generation.writing.interruptions import between_layers
from engine.tasks.generation.writing.prompt_cache import PromptCache
from engine.tasks.generation.writing.token_choice import Step, TokenChooser

MAX_ROWS = 32  # Answers that take their steps together; others wait for a place.
PROMPT_PIECE = 256  # Tokens of a prompt that are read at a time.
PROMPT_CACHE_SHARE = 0.25  # Of the weights' size: what earlier prompts may take in memory.
IDLE_SECONDS = 5.0  # After which the thread ends; the next answer starts another.


@dataclass(eq=False)
class _Row:
    """One answer: what it was asked, how far it is, and where its steps go."""

    prompt: Sequence[int]
    chooser: TokenChooser
    most: int
    stops: Sequence[int]
    constraint: Constraint | None
    steps: "queue.SimpleQueue[Step | BaseException | None]" = field(
        default_factory=queue.SimpleQueue
    )
    is_cancelled: bool = False
    cache: Any = None  # Its own, until it joins the others.
    read: int = 0  # Tokens of the prompt that are in the cache.
    written: int = 0
    last: int = 0

    def put(self, step: Step) -> bool:
        """Hand a step over; whether more shall follow."""
        self.steps.put(step)
        self.written += 1
        self.last = step.token
        is_over = self.constraint is not None and self.constraint.is_over
        return not (step.token in self.stops or self.written >= self.most or is_over)


class ContinuousBatcher:
    """Writes any number of answers of one network. `stream` may be called from many threads."""

    def __init__(self, network: PreTrainedModel, threads: int) -> None:
        self._network, self._threads = network, threads
        self._prompts = PromptCache(
            network, PROMPT_PIECE, int(weights_bytes_of(network) * PROMPT_CACHE_SHARE)
        )
        self._arrivals: queue.Queue[_Row] = queue.Queue()
        self._lock = threading.Lock()
        self._is_running = False

    def stream(
        self,
        prompt: Sequence[int],
        chooser: TokenChooser,
        *,
        most: int,
        stops: Sequence[int],
        constraint: Constraint | None = None,
    ) -> Iterator[Step]:
        """The tokens of an answer; a stop token is the last. At most `most`. Closing the iterator
        ends the writing."""
        row = _Row(prompt, chooser, most, stops, constraint)
        self._submit(row)
        try:
            while (step := row.steps.get()) is not None:
                if isinstance(step, BaseException):
                    raise step
                yield step
        finally:
            row.is_cancelled = True

    def _submit(self, row: _Row) -> None:
        with self._lock:
            self._arrivals.put(row)
            if not self._is_running:
                self._is_running = True
                thread = threading.Thread(target=self._run, name="steps", daemon=True)
                thread.start()

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        rows = _Rows(self._network, self._prompts)

        def answer_newcomers() -> None:
            self._take_arrivals(rows)
            rows.read_short_prompts()

        with between_layers(self._network, answer_newcomers):
            while self._receive(rows):
                try:
                    with torch.inference_mode():
                        rows.read_piece()
                        rows.step()
                except BaseException as error:  # noqa: BLE001  Raised again where each is awaited.
                    rows.fail(error)

    def _receive(self, rows: "_Rows") -> bool:
        """Wait for an arrival where nothing else is to be done; False when the thread shall end."""
        if rows.is_idle:
            try:
                rows.reading.append(self._arrivals.get(timeout=IDLE_SECONDS))
            except queue.Empty:
                with self._lock:
                    self._is_running = not self._arrivals.empty()
                    return self._is_running
        self._take_arrivals(rows)
        return True

    def _take_arrivals(self, rows: "_Rows") -> None:
        """As far as there is room."""
        with contextlib.suppress(queue.Empty):
            while rows.has_room:
                rows.reading.append(self._arrivals.get_nowait())


class _Rows:
    """Answers under way. Those whose prompts are read have one cache (rows, heads, tokens, width)
    in each layer.

    Shorter rows are padded on the left; `lengths` are the real tokens.
    """

    def __init__(self, network: PreTrainedModel, prompts: PromptCache) -> None:
        self._network, self._prompts = network, prompts
        self._device = next(network.parameters()).device
        self._clear()

    def _clear(self) -> None:
        self.reading: deque[_Row] = deque()
        self._joining: list[_Row] = []  # Read within a step: the next one takes them along.
        self._rows: list[_Row] = []
        self._cache: Any = None
        self._lengths = torch.zeros(0, dtype=torch.int64, device=self._device)
        self._interruption_left = 0  # Tokens of prompts that this turn may still be interrupted by.

    @property
    def is_idle(self) -> bool:
        return not (self.reading or self._joining or self._rows)

    @property
    def has_room(self) -> bool:
        return len(self.reading) + len(self._joining) + len(self._rows) < MAX_ROWS

    def fail(self, error: BaseException) -> None:
        """End every answer with the error."""
        for row in (*self.reading, *self._joining, *self._rows):
            row.steps.put(error)
        self._clear()

    def read_piece(self) -> None:
        """Begin a turn: read some more of the prompt that has waited longest."""
        self._interruption_left = PROMPT_PIECE
        if self.reading:
            row = self.reading.popleft()
            if not self._read(row):
                self.reading.append(row)

    def read_short_prompts(self) -> None:
        """Read what fits in a piece, in the midst of the others' turn: their tokens come later by
        what such a prompt costs anyway, and its first token need not wait for theirs."""
        budget, self._interruption_left = self._interruption_left, 0  # Nothing interrupts this.
        while budget > 0 and (row := self._take_short()) is not None:
            budget -= len(row.prompt)
            self._read(row)
        self._interruption_left = budget

    def _take_short(self) -> _Row | None:
        for row in self.reading:
            if len(row.prompt) <= PROMPT_PIECE:
                self.reading.remove(row)
                return row
        return None

    def _read(self, row: _Row) -> bool:
        """Read a piece of a prompt; whether it is done with, be it by a failure of its own."""
        if row.is_cancelled:
            return True
        try:
            return self._compute_piece(row)
        except Exception as error:  # noqa: BLE001  Raised again where the answer is awaited.
            row.steps.put(error)
            return True

    def _compute_piece(self, row: _Row) -> bool:
        """Whether the prompt is in the cache: then the first token is chosen, and the answer joins.

        Pieces begin at the same tokens whoever else is there: so do the answers' roundings."""
        if row.cache is None:
            row.cache, row.read = self._prompts.restore(row.prompt)
        piece = row.prompt[row.read : row.read + PROMPT_PIECE]
        outputs = self._network(
            input_ids=torch.tensor([list(piece)], device=self._device),
            past_key_values=row.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        row.read += len(piece)
        self._prompts.keep(row.prompt, row.cache, row.read)
        if row.read < len(row.prompt):
            return False
        if row.put(row.chooser.choose(outputs.logits[:, -1].float())):
            self._joining.append(row)
        else:
            row.steps.put(None)
        return True

    def step(self) -> None:
        """One token for every answer whose prompt is read."""
        joining, self._joining = self._joining, []
        for row in joining:
            self._join(row)
        self._keep([place for place, row in enumerate(self._rows) if not row.is_cancelled])
        if not self._rows:
            return
        width = self._cache.get_seq_length()
        places = torch.arange(width + 1, device=self._device)
        mask = (places >= width - self._lengths[:, None]).long()
        outputs = self._network(
            input_ids=torch.tensor([[row.last] for row in self._rows], device=self._device),
            attention_mask=mask,
            position_ids=self._lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._lengths = self._lengths + 1
        logits = outputs.logits[:, -1].float()
        staying = []
        for place, row in enumerate(self._rows):
            if row.put(row.chooser.choose(logits[place : place + 1])):
                staying.append(place)
            else:
                row.steps.put(None)
        self._keep(staying)

    def _join(self, row: _Row) -> None:
        length = torch.tensor([len(row.prompt)], device=self._device)
        if not self._rows:
            self._cache, self._lengths = row.cache, length
        else:
            for layer, new in zip(self._cache.layers, row.cache.layers, strict=True):
                layer.replace(_stack(layer.keys, new.keys), _stack(layer.values, new.values))
            self._lengths = torch.cat([self._lengths, length])
        self._rows.append(row)
        row.cache = None

    def _keep(self, places: list[int]) -> None:
        """Let the other rows go, and columns that pad all that are left."""
        if len(places) == len(self._rows):
            return
        self._rows = [self._rows[place] for place in places]
        if not self._rows:
            self._cache = None
            self._lengths = self._lengths[:0]
            return
        chosen = torch.tensor(places, device=self._device)
        self._lengths = self._lengths[chosen]
        longest = int(self._lengths.max())
        for layer in self._cache.layers:
            layer.replace(*(one[chosen][:, :, -longest:] for one in (layer.keys, layer.values)))


def _stack(together: Tensor, new: Tensor) -> Tensor:
    """Both caches in one, the shorter padded on the left."""
    width = max(together.shape[2], new.shape[2])
    padded = [functional.pad(one, (0, 0, width - one.shape[2], 0)) for one in (together, new)]
    return torch.cat(padded)


def weights_bytes_of(network: PreTrainedModel) -> int:
    return sum(one.nbytes for one in network.parameters())


def can_be_batched(network: PreTrainedModel) -> bool:
    """Whether every layer keeps all tokens: sliding windows count from the left, padding too."""
    layers = DynamicCache(config=network.config).layers
    return all(type(layer).__name__ == "DynamicLayer" for layer in layers)
