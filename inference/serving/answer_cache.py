"""Outputs of texts that were asked before, so that they are not computed again.

Only what a model computed is kept, under a keyed hash: no text, and no answer, whose form differs
by request. An artifact never changes and a row's outputs depend on the row alone, so what is found
is what would be computed, to the last bit.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class CachedRow:
    """What a model computed of one row, and how many tokens it has."""

    outputs: Any  # (outputs,), float32
    tokens: int


class AnswerCache:
    """The least recently used rows go first. `entries` 0 keeps nothing."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.hits = 0
        self.misses = 0
        self._key = secrets.token_bytes(32)
        self._rows: OrderedDict[bytes, CachedRow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def key(self, model_id: str, text: str) -> bytes:
        content = f"{model_id}\0{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=self._key).digest()

    def get(self, key: bytes) -> CachedRow | None:
        row = self._rows.get(key)
        if row is None:
            self.misses += 1
            return None
        self.hits += 1
        self._rows.move_to_end(key)
        return row

    def put(self, key: bytes, row: CachedRow) -> None:
        self._rows[key] = row
        while len(self._rows) > self.entries:
            self._rows.popitem(last=False)
