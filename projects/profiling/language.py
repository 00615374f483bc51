"""Detects the language of a column of texts: by its script, then by common English words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

# The main language of a script, by the first word of its letters' Unicode names.
LANGUAGE_OF_SCRIPT = {
    "CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "THAI": "th", "HEBREW": "he",
    "GREEK": "el", "ARMENIAN": "hy", "GEORGIAN": "ka", "TAMIL": "ta", "TELUGU": "te",
    "BENGALI": "bn", "KHMER": "km", "LAO": "lo",
}  # fmt: skip
ENGLISH_WORDS = frozenset({
    "the", "and", "of", "to", "is", "it", "my", "with", "not", "you", "this", "that", "are",
    "have", "can", "how", "what", "but", "very", "we", "they", "from", "for", "would", "your",
})  # fmt: skip
MIN_ENGLISH_SHARE = 0.1  # Of words; a quarter of English is among these.
MIN_WORDS = 30  # With fewer Latin letters alone mean English.
MIN_SCRIPT_SHARE = 0.15  # Chinese and Japanese texts name products in Latin letters.
MAX_CHARACTERS = 20_000
WORD = re.compile(r"[^\W\d_]+")


def detect_language(texts: Iterable[str]) -> str:
    """The ISO 639-1 code of the language; `en` where it cannot be detected."""
    text = "\n".join(texts)[:MAX_CHARACTERS]
    letters = [letter for letter in text if letter.isalpha()]
    scripts = Counter(unicodedata.name(letter, "?").split()[0] for letter in letters)
    languages: Counter[str] = Counter()
    for script, count in scripts.items():
        languages[LANGUAGE_OF_SCRIPT.get(script, script)] += count
    if languages["ja"] > 0.1 * max(1, languages["zh"]):  # Japanese writes Chinese letters too.
        languages["ja"] += languages.pop("zh", 0)
    common = languages.most_common(1)[0][0] if languages else "LATIN"
    foreign = max(LANGUAGE_OF_SCRIPT.values(), key=lambda language: languages[language])
    if languages[foreign] >= MIN_SCRIPT_SHARE * max(1, len(letters)):
        return foreign
    words = [word.casefold() for word in WORD.findall(text)]
    if common == "LATIN":
        english = sum(word in ENGLISH_WORDS for word in words)
        if len(words) < MIN_WORDS or english >= MIN_ENGLISH_SHARE * len(words):
            return "en"
    return str(_identifier().classify(text)[0])


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
