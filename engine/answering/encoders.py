"""What encoders expect of a text, and which languages they know. Needs no runtime of models."""

from collections.abc import Sequence

from engine.catalog import CATALOG

DEFAULT_ENCODER, MULTILINGUAL_ENCODER = "all-MiniLM-L6-v2", "multilingual-e5-small"
ENGLISH_ONLY = frozenset({"all-MiniLM-L6-v2", "all-MiniLM-L12-v2", "bge-small-en-v1.5"})
# Wang et al. 2024, section 4: questions that are compared with each other all begin so.
PREFIXES = {MULTILINGUAL_ENCODER: "query: "}


def choose_encoder(languages: Sequence[str]) -> str:
    """The multilingual encoder where one language is not English and this machine can have it with
    no network; a version then answers alone only in languages that its encoder knows."""
    entry = CATALOG.get(MULTILINGUAL_ENCODER)
    is_multilingual = any(language != "en" for language in languages)
    return MULTILINGUAL_ENCODER if is_multilingual and entry and entry.offline else DEFAULT_ENCODER


def with_prefix(encoder: str, text: str) -> str:
    """The text as this encoder was taught to read questions and what answers them."""
    return PREFIXES.get(encoder, "") + text
