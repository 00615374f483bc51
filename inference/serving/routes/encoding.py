"""Rows of a request as the model reads them."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from inference.serving.model_cache import LoadedModel

MAX_INLINE_CHARACTERS = 4_000  # A thread's turn costs more than the tokenizer's work on fewer.


async def encode_rows(model: LoadedModel, rows: Sequence[Any], **options: bool) -> Sequence[Any]:
    """Raises what the model's `encode` raises. The tokenizer of long requests runs in a thread, for
    it releases the GIL."""
    encode = partial(model.served.encode, rows, **options)
    is_short = sum(map(len, rows)) <= MAX_INLINE_CHARACTERS
    encoded: Sequence[Any] = encode() if is_short else await asyncio.to_thread(encode)
    return encoded
