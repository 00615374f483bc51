"""What the frozen lower layers make of the training rows, computed once and not in every epoch.

Where only the upper half of an encoder learns and nothing below it is random, the lower half gives
the same states for a row each time: a quarter of the work of a step. It computes in the precision
that training multiplies in, throughout.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.batching import FORWARD_BATCH, Batch, batches_by_length
from engine.network import encoder_layers
from engine.tokenised import TokenisedRows

MOST_BYTES = 2**30


@dataclass(frozen=True)
class States:
    """Of every token of some rows: `flat` (tokens, hidden), a row's from `starts[row]` on."""

    flat: Tensor
    starts: dict[int, int]

    def padded(self, rows: Batch, tokens: int) -> Tensor:
        """(rows, tokens, hidden), float32. Behind a row's end stands anything: masks hide it."""
        places = torch.tensor([self.starts[row] for row in rows.tolist()])[:, None]
        index = (places + torch.arange(tokens)).clamp(max=len(self.flat) - 1)
        return self.flat[index].float()


class RememberedLayers:
    """Answers for the frozen layers of `encoder` within `recalled`; else they answer themselves."""

    def __init__(self, encoder: PreTrainedModel, frozen: list[nn.Module], states: States) -> None:
        self._frozen, self._states = frozen, states
        self._now: Tensor | None = None
        for at, layer in enumerate(frozen):
            answer: Any = partial(self._answer, layer.forward, is_first=at == 0)
            layer.forward = answer  # Of this one module; its class and its weights' names stay.

    @contextmanager
    def recalled(self, rows: Batch, tokens: int) -> Iterator[None]:
        """Within, the encoder is asked about these rows, padded to so many tokens."""
        self._now = self._states.padded(rows, tokens)
        try:
            yield
        finally:
            self._now = None

    def forget(self) -> None:
        for layer in self._frozen:
            del layer.forward

    def _answer(
        self,
        compute: Callable[..., Tensor],
        hidden: Tensor,
        *others: Any,
        is_first: bool,
        **named: Any,
    ) -> Tensor:
        if self._now is None:
            return compute(hidden, *others, **named)
        return self._now if is_first else hidden


def remember(
    encoder: PreTrainedModel, rows: TokenisedRows, chosen: Batch, precision: str
) -> RememberedLayers | None:
    """None where the states would take too much memory, or the encoder is of another build."""
    layers = encoder_layers(encoder)
    lengths = [len(rows.ids[row]) for row in chosen]
    number = torch.bfloat16 if precision == "bf16" else torch.float32
    if layers is None or sum(lengths) * encoder.config.hidden_size * number.itemsize > MOST_BYTES:
        return None
    half = len(layers) // 2
    reader: PreTrainedModel = copy.deepcopy(encoder).to(dtype=number).eval()
    states = _read(reader, half, rows, chosen, lengths)
    return None if states is None else RememberedLayers(encoder, list(layers[:half]), states)


class _Enough(Exception):
    """Ends a pass behind the lower half."""


def _read(
    reader: PreTrainedModel, half: int, rows: TokenisedRows, chosen: Batch, lengths: list[int]
) -> States | None:
    """By the network itself, cut off behind its lower half."""
    found: list[Any] = []

    def keep(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        found.append(output)
        raise _Enough

    layers = encoder_layers(reader)
    assert layers is not None
    layers[half - 1].register_forward_hook(keep)
    begins = np.cumsum([0, *lengths[:-1]]).tolist()
    flat = torch.empty(sum(lengths), reader.config.hidden_size, dtype=reader.dtype)
    for batch in batches_by_length(lengths, *FORWARD_BATCH):
        ids, mask = rows.padded(chosen[batch], "cpu")
        with torch.no_grad(), suppress(_Enough):
            reader(input_ids=ids, attention_mask=mask)
        states = found.pop() if found else None
        if not isinstance(states, Tensor) or states.shape != (*ids.shape, flat.shape[1]):
            return None
        for place, at in enumerate(batch.tolist()):
            flat[begins[at] : begins[at] + lengths[at]] = states[place, : lengths[at]]
    return States(flat, dict(zip(chosen.tolist(), begins, strict=True)))
