"""Caches the activations of frozen lower layers, which are the same in every epoch.

Where only the upper half of an encoder learns and nothing below it is random, the lower half gives
the same states for a row each time, which are a quarter of the work of a step. They are computed
throughout in the precision that training multiplies in.
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

from engine.data.batching import FORWARD_BATCH_LIMITS, Batch, length_sorted_batches
from engine.data.tokenization import TokenizedRows
from engine.tasks.text.network import find_encoder_layers

MAX_CACHE_BYTES = 2**30


@dataclass(frozen=True)
class CachedActivations:
    """States of the tokens of some rows: `flat` (tokens, hidden), a row's from `starts[row]` on."""

    flat: Tensor
    starts: dict[int, int]

    def padded(self, rows: Batch, tokens: int) -> Tensor:
        """(rows, tokens, hidden), float32; arbitrary behind a row's end, which masks hide."""
        starts = torch.tensor([self.starts[row] for row in rows.tolist()])[:, None]
        index = (starts + torch.arange(tokens)).clamp(max=len(self.flat) - 1)
        return self.flat[index].float()


class CachedLowerLayers:
    """Replaces the frozen layers of `encoder` within `use_cached`; outside they compute as ever."""

    def __init__(
        self, encoder: PreTrainedModel, frozen: list[nn.Module], states: CachedActivations
    ) -> None:
        self._frozen, self._activations = frozen, states
        self._current_activations: Tensor | None = None
        for index, layer in enumerate(frozen):
            forward: Any = partial(self._cached_forward, layer.forward, is_first=index == 0)
            layer.forward = forward  # Of this module alone; its class and weights' names stay.

    @contextmanager
    def use_cached(self, rows: Batch, tokens: int) -> Iterator[None]:
        """Within, the encoder computes these rows, padded to so many tokens."""
        self._current_activations = self._activations.padded(rows, tokens)
        try:
            yield
        finally:
            self._current_activations = None

    def restore_layers(self) -> None:
        for layer in self._frozen:
            del layer.forward

    def _cached_forward(
        self,
        compute: Callable[..., Tensor],
        hidden: Tensor,
        *others: Any,
        is_first: bool,
        **named: Any,
    ) -> Tensor:
        if self._current_activations is None:
            return compute(hidden, *others, **named)
        return self._current_activations if is_first else hidden


def cache_lower_layers(
    encoder: PreTrainedModel, rows: TokenizedRows, chosen: Batch, precision: str
) -> CachedLowerLayers | None:
    """None where the states would take too much memory, or the encoder is of another build."""
    layers = find_encoder_layers(encoder)
    lengths = [len(rows.ids[row]) for row in chosen]
    number = torch.bfloat16 if precision == "bf16" else torch.float32
    if (
        layers is None
        or sum(lengths) * encoder.config.hidden_size * number.itemsize > MAX_CACHE_BYTES
    ):
        return None
    half = len(layers) // 2
    reader: PreTrainedModel = copy.deepcopy(encoder).to(dtype=number).eval()
    states = _compute_activations(reader, half, rows, chosen, lengths)
    return None if states is None else CachedLowerLayers(encoder, list(layers[:half]), states)


class _StopForward(Exception):
    """Ends a forward pass behind the lower half."""


def _compute_activations(
    reader: PreTrainedModel, half: int, rows: TokenizedRows, chosen: Batch, lengths: list[int]
) -> CachedActivations | None:
    """By the network itself, stopped behind its lower half."""
    captured: list[Any] = []

    def capture(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        captured.append(output)
        raise _StopForward

    layers = find_encoder_layers(reader)
    assert layers is not None
    layers[half - 1].register_forward_hook(capture)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    flat = torch.empty(sum(lengths), reader.config.hidden_size, dtype=reader.dtype)
    for batch in length_sorted_batches(lengths, *FORWARD_BATCH_LIMITS):
        ids, mask = rows.padded(chosen[batch], "cpu")
        with torch.no_grad(), suppress(_StopForward):
            reader(input_ids=ids, attention_mask=mask)
        states = captured.pop() if captured else None
        if not isinstance(states, Tensor) or states.shape != (*ids.shape, flat.shape[1]):
            return None
        for index, row in enumerate(batch.tolist()):
            flat[starts[row] : starts[row] + lengths[row]] = states[index, : lengths[row]]
    return CachedActivations(flat, dict(zip(chosen.tolist(), starts, strict=True)))
