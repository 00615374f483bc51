"""Which language a question is in: by its script, then by py3langid among those on offer."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from engine.answering.terms import CJK

CHINESE_SHARE = 0.2  # Of a text's letters; Chinese questions name products in Latin letters.
_CHINESE = re.compile(f"[{CJK}]")
_LETTER = re.compile(r"[^\W\d_]")


def detect_language(text: str, languages: Sequence[str]) -> str:
    """One of `languages`, the first where nothing tells; "zh" also when it is not offered, so that
    a question is never answered by a model of another script."""
    letters = len(_LETTER.findall(text))
    if letters and len(_CHINESE.findall(text)) / letters >= CHINESE_SHARE:
        return "zh"
    alphabetic = [language for language in languages if language != "zh"]
    if len(alphabetic) <= 1:
        return alphabetic[0] if alphabetic else "en"
    return str(_identifier(tuple(alphabetic)).classify(text)[0])


@lru_cache(maxsize=32)
def _identifier(languages: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(languages))
    return identifier
