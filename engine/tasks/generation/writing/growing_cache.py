"""A cache with room behind its tokens: a step writes its own and copies none of those before."""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

ROOM = 64  # Tokens that are written between two copies.


def growing_cache(network: PreTrainedModel) -> DynamicCache:
    """An empty one for a network whose layers keep all tokens."""
    cache = DynamicCache(config=network.config)
    cache.layers = [GrowingLayer() for _ in cache.layers]
    return cache


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """`keys` and `values` (rows, heads, tokens, width) begin in tensors that have more tokens."""

    _rooms: tuple[Tensor, Tensor] | None = None

    def replace(self, keys: Tensor, values: Tensor) -> None:
        """Hold these from now on."""
        self.keys, self.values, self._rooms = keys, values, None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """transformers' hook: append the tokens and return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.replace(key_states[:, :, :0], value_states[:, :, :0])
        begin = self.keys.shape[2]
        end = begin + key_states.shape[2]
        if self._rooms is None or end > self._rooms[0].shape[2]:
            self._rooms = _with_room(self.keys, end), _with_room(self.values, end)
        keys, values = self._rooms
        keys[:, :, begin:end], values[:, :, begin:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values


def _with_room(filled: Tensor, tokens: int) -> Tensor:
    rows, heads, begun, width = filled.shape
    room = torch.empty(rows, heads, tokens + ROOM, width, dtype=filled.dtype, device=filled.device)
    room[:, :, :begun] = filled
    return room
