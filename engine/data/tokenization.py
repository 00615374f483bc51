"""Tokenizes texts once, and pads their token ids for each batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

TOKENIZER_BATCH_ROWS = 2000


@dataclass
class TokenizedRows:
    """Token ids of every usable row, cut to max_length."""

    ids: list[npt.NDArray[np.int32]]
    max_length: int
    truncated_rows: int

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.ids]

    def padded(self, rows: npt.NDArray[np.int64], device: str) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask, each of shape (rows, tokens), int64."""
        ids, mask = pad_token_ids([self.ids[row] for row in rows])
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def pad_token_ids(
    rows: Sequence[Sequence[int] | npt.NDArray[np.int32]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids padded with 0, and the attention mask, each of shape (rows, tokens)."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask


def tokenize_texts(tokenizer: Tokenizer, texts: list[str], max_length: int) -> TokenizedRows:
    ids: list[npt.NDArray[np.int32]] = []
    truncated_rows = 0
    tokenizer.enable_truncation(max_length)
    for start in range(0, len(texts), TOKENIZER_BATCH_ROWS):
        for encoding in tokenizer.encode_batch(texts[start : start + TOKENIZER_BATCH_ROWS]):
            ids.append(np.asarray(encoding.ids, dtype=np.int32))
            truncated_rows += bool(encoding.overflowing)
    return TokenizedRows(ids, max_length, truncated_rows)
