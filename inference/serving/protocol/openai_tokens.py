"""Token ids as OpenAI's clients send them to `/v1/embeddings`: of the encoding `cl100k_base`.

Every embedding model of OpenAI's has that encoding, so clients that count tokens, such as
LangChain, send its ids whatever the model's name. Only decoding is needed here: the table of each
id's bytes comes with the npm package `tiktoken`.
"""

import base64
import json
from functools import lru_cache
from pathlib import Path

from django.conf import settings

TABLE = Path(settings.BASE_DIR) / "node_modules" / "tiktoken" / "encoders" / "cl100k_base.json"


class NotOpenAITokens(ValueError):
    """Its text says why these ids are no text, and what to do."""


def decode_tokens(ids: list[int]) -> str:
    """The text of these ids. Raises NotOpenAITokens."""
    try:
        table = _load_table()
    except FileNotFoundError:
        raise NotOpenAITokens(
            "holds token ids, and this installation lacks the table of their texts "
            "(npm ci brings it). Send texts."
        ) from None
    try:
        return b"".join(table[token] for token in ids).decode()
    except (KeyError, UnicodeDecodeError):
        raise NotOpenAITokens(
            "holds token ids that are no text in cl100k_base, the encoding of OpenAI's embedding "
            "models. Send texts."
        ) from None


@lru_cache(maxsize=1)
def _load_table() -> dict[int, bytes]:
    """Each line of `bpe_ranks` is a mark, the first id, and the bytes of it and the next ones."""
    encoding = json.loads(TABLE.read_text())
    table = {number: text.encode() for text, number in encoding["special_tokens"].items()}
    for line in encoding["bpe_ranks"].splitlines():
        _, first, *pieces = line.split(" ")
        table |= enumerate(map(base64.b64decode, pieces), int(first))
    return table
