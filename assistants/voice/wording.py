"""What of a text is said aloud."""

import re

MAX_CHARACTERS = 600
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"，。；）]+", re.I)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？；\n]")
_SPACES = re.compile(r"[ \t]+")


def spoken_words(text: str) -> str:
    """Without web addresses, cut after the last sentence that fits into MAX_CHARACTERS."""
    words = _SPACES.sub(" ", _ADDRESS.sub("", text)).strip()
    if not any(letter.isalnum() for letter in words):
        return ""
    if len(words) <= MAX_CHARACTERS:
        return words
    start = words[:MAX_CHARACTERS]
    ends = [match.end() for match in _SENTENCE_END.finditer(words[: MAX_CHARACTERS + 1])]
    fitting = [end for end in ends if end <= MAX_CHARACTERS]
    if fitting:
        return start[: fitting[-1]].strip()
    return start.rpartition(" ")[0].strip() or start
