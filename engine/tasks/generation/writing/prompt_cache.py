"""What a network has read of earlier prompts: the next one that begins alike is read from where
they part, as a chat's next turn is, or a question under the same long instructions.

Only whole pieces are kept, each under all tokens up to its end. A prompt is read in the same pieces
with and without it, so that an answer has the same bits.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from engine.tasks.generation.writing.growing_cache import growing_cache

Layers = list[tuple[Tensor, Tensor]]  # Keys and values of a piece: (1, heads, tokens, width).


class PromptCache:
    """Keeps the pieces that were used last, of at most `max_bytes`. For one thread at a time."""

    def __init__(self, network: PreTrainedModel, piece: int, max_bytes: int) -> None:
        self._network, self._piece, self._max_bytes = network, piece, max_bytes
        self._pieces: OrderedDict[bytes, Layers] = OrderedDict()
        self.size_bytes = 0

    def restore(self, prompt: Sequence[int]) -> tuple[Any, int]:
        """A cache that holds the known beginning of the prompt, and how many tokens that is. The
        last token is always left to be read, for what follows it is asked."""
        known: list[bytes] = []
        for key in self._keys(prompt, (len(prompt) - 1) // self._piece):
            if key not in self._pieces:
                break
            known.append(key)
        cache = growing_cache(self._network)
        pieces = [self._pieces[key] for key in known]
        for layer, parts in zip(cache.layers, zip(*pieces, strict=True), strict=bool(pieces)):
            keys, values = zip(*parts, strict=True)
            layer.update(torch.cat(keys, dim=2), torch.cat(values, dim=2))
        for key in reversed(known):  # What many prompts begin with is let go last.
            self._pieces.move_to_end(key)
        return cache, len(known) * self._piece

    def keep(self, prompt: Sequence[int], cache: Any, read: int) -> None:
        """Remember the piece that ends after `read` tokens, if it is a whole one."""
        if read % self._piece:
            return
        *_, key = self._keys(prompt, read // self._piece)
        if key in self._pieces:
            return
        begin = read - self._piece
        layers = [
            (layer.keys[:, :, begin:read].clone(), layer.values[:, :, begin:read].clone())
            for layer in cache.layers
        ]
        size = _size_of(layers)
        while self._pieces and self.size_bytes + size > self._max_bytes:
            self.size_bytes -= _size_of(self._pieces.popitem(last=False)[1])
        if size <= self._max_bytes:
            self._pieces[key] = layers
            self.size_bytes += size

    def _keys(self, prompt: Sequence[int], pieces: int) -> list[bytes]:
        digest, keys = hashlib.sha256(), []
        for number in range(pieces):
            tokens = prompt[number * self._piece : (number + 1) * self._piece]
            digest.update(array("q", tokens).tobytes())
            keys.append(digest.digest())
        return keys


def _size_of(layers: Layers) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in layers)
