"""Texts as token ids, made once and padded per batch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

TOKENISE_AT_ONCE = 2000


@dataclass
class TokenisedRows:
    """Token ids of every usable row, cut to max_length."""

    ids: list[npt.NDArray[np.int32]]
    max_length: int
    cut_rows: int

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.ids]

    def padded(self, rows: npt.NDArray[np.int64], device: str) -> tuple[Tensor, Tensor]:
        """Ids and mask, (rows, tokens), int64."""
        longest = max(len(self.ids[row]) for row in rows)
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for position, row in enumerate(rows):
            length = len(self.ids[row])
            ids[position, :length] = self.ids[row]
            mask[position, :length] = 1
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def tokenise(tokenizer: Tokenizer, texts: list[str], max_length: int) -> TokenisedRows:
    ids: list[npt.NDArray[np.int32]] = []
    cut = 0
    tokenizer.enable_truncation(max_length)
    for start in range(0, len(texts), TOKENISE_AT_ONCE):
        for encoding in tokenizer.encode_batch(texts[start : start + TOKENISE_AT_ONCE]):
            ids.append(np.asarray(encoding.ids, dtype=np.int32))
            cut += bool(encoding.overflowing)
    return TokenisedRows(ids, max_length, cut)
