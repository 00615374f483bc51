"""Rows of a request as the model reads them, and what it computes of those it has not met."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from inference.serving.answer_cache import AnswerCache, CachedRow
from inference.serving.model_cache import LoadedModel

MAX_INLINE_CHARACTERS = 4_000  # A thread's turn costs more than the tokenizer's work on fewer.


async def encode_rows(model: LoadedModel, rows: Sequence[Any], **options: bool) -> Sequence[Any]:
    """Raises what the model's `encode` raises. The tokenizer of long requests runs in a thread, for
    it releases the GIL."""
    encode = partial(model.served.encode, rows, **options)
    is_short = sum(map(len, rows)) <= MAX_INLINE_CHARACTERS
    encoded: Sequence[Any] = encode() if is_short else await asyncio.to_thread(encode)
    return encoded


OutputsAndTokens = tuple[list[Any], list[int]]


async def compute_unless_known(
    cache: AnswerCache,
    model_id: str,
    texts: Sequence[str],
    compute: Callable[[Sequence[str]], Awaitable[OutputsAndTokens]],
) -> OutputsAndTokens:
    """Outputs and tokens of each text; computed only where the text was not asked before."""
    if not cache.entries:
        return await compute(texts)
    keys = [cache.key(model_id, text) for text in texts]
    cached = {key: cache.get(key) for key in keys}
    missing = {key: text for key, text in zip(keys, texts, strict=True) if cached[key] is None}
    if missing:
        computed = await compute(list(missing.values()))
        for key, outputs, tokens in zip(missing, *computed, strict=True):
            row = CachedRow(outputs, tokens)
            cached[key] = row
            cache.put(key, row)
    known = [one for key in keys if (one := cached[key]) is not None]
    return [one.outputs for one in known], [one.tokens for one in known]
