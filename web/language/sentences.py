"""Translate a sentence that code has already put together, where it is shown.

Findings, verdicts, refusals and notices are English sentences when they are made, and many are kept
in rows or files like that. Their message id is the f-string that made them (`python_texts`), so the
values are found again by matching: "Key A no longer works." fits "{name} no longer works." with
name = "Key A". What fits nothing stays as it is; nothing is guessed.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.mofile import read_mo
from django.conf import settings
from django.utils.functional import Promise, lazy
from django.utils.safestring import SafeString
from django.utils.translation import get_language, to_locale

PLACEHOLDER = re.compile(r"\{(\w+)\}")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
MAX_LENGTH = 2000  # Longer texts are people's own.
# Of a field by its name in the API: "hyperparameters.epochs: It must be 0 or more."
ABOUT_FIELD = re.compile(r"([a-z_]+(?:\.\w+)*: )([A-Z“{].+\.)", re.DOTALL)
LISTING = " · "  # Between facts beside each other.
MAX_SENTENCES = 12
MIN_LETTERS = 3  # Fixed letters in a pattern; less would fit what people wrote.
MIN_BLANKS = 2  # A value of three words that is a message of ours is hardly somebody's own,
LONG_MESSAGE = 12  # if so many letters of it are fixed.
KEY_LENGTH = 3  # Patterns are found by so many letters of their start or end.
NUMBER = r"[−+-]?\d(?:[\d.,]*\d)?%?"
# Their values are words of ours, so they are translated too. Other values are people's own.
OWN_WORDS = re.compile(
    r"(words|phrase|reason|sentence|label|what|why|display|title|unit|verb|kind|count|rows|next|each"
    r"|duration|format_age)"
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One message with values in it."""

    fits: re.Pattern[str]
    translation: str
    fixed_length: int


@dataclass(frozen=True, slots=True)
class Texts:
    """A language's messages: whole ones, and patterns by their first and last letters."""

    whole: dict[str, str]
    by_start: dict[str, list[Pattern]]
    by_end: dict[str, list[Pattern]]
    anywhere: list[Pattern]


class AsWritten(str):
    """A customer's own words among ours, such as a column's name: never translated."""


def translated(text: object) -> str:
    """This text in the active language; itself where it is unknown or the language is English."""
    if isinstance(text, SafeString | AsWritten):
        return text
    if not isinstance(text, str) or isinstance(text, Promise):
        return str(text)
    language = get_language() or "en"
    if language.startswith("en") or not text.strip() or len(text) > MAX_LENGTH:
        return text
    return _translated(text, language)


def without_field_name(sentence: str) -> str:
    """For a form, which shows the sentence beside the field: people do not know its API name."""
    about = ABOUT_FIELD.fullmatch(sentence)
    return about[2] if about else sentence


def whole_message(text: str) -> str | None:
    """This text where it is one message as it stands, in the active language; None in English."""
    language = get_language() or "en"
    return None if language.startswith("en") else _load(language).whole.get(text)


translated_lazy = lazy(translated, str)


def lazy_choices(choices: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Choices of a form, whose labels are translated when the form is shown."""
    return [(value, translated_lazy(str(label))) for value, label in choices]


@lru_cache(maxsize=8192)
def _translated(text: str, language: str) -> str:
    """First as one message whose values hold no further sentence, then sentence by sentence."""
    texts, whole = _load(language), text.strip()
    if (translation := _one(whole, texts, SENTENCE_END)) is not None:
        return translation
    if about := ABOUT_FIELD.fullmatch(whole):
        return about[1] + _translated(about[2], language)
    parts = SENTENCE_END.split(whole)
    if 1 < len(parts) <= MAX_SENTENCES:
        made = list(_longest_first(parts, texts))
        if all(translation for _, translation in made):
            return "".join(words for words, _ in made)
        if any(translation for _, translation in made):
            loosely = _one(whole, texts)
            return loosely or " ".join(words for words, _ in made)
    if (translation := _one(whole, texts)) is not None:
        return translation
    return LISTING.join(_one(part, texts) or part for part in whole.split(LISTING))


def _longest_first(parts: list[str], texts: Texts) -> Iterator[tuple[str, bool]]:
    """Of several sentences, those that one message says together are translated together."""
    while parts:
        for size in range(len(parts), 0, -1):
            boundary = SENTENCE_END if size > 1 else None
            if (translation := _one(" ".join(parts[:size]), texts, boundary)) is not None:
                yield translation, True
                break
        else:
            size = 1
            yield parts[0], False
        parts = parts[size:]


def _one(
    text: str,
    texts: Texts,
    boundary: re.Pattern[str] | None = None,
    least: int = 0,
    *,
    is_guess: bool = False,
) -> str | None:
    """This text as one message; None where it is none.

    No value may hold the boundary; `least` letters of the message must be fixed ones. Where it is
    a guess that the text is ours at all, its single words stay: a column may be called "topic".
    """
    if text in texts.whole:
        return texts.whole[text]
    if text.islower() and (words := text.replace("_", " ").capitalize()) in texts.whole:
        return texts.whole[words]  # A status as the database holds it.
    if (words := text[:1].lower() + text[1:]) in texts.whole:
        return texts.whole[words]  # The label that Django makes of a model's verbose name.
    candidates = [
        *texts.by_start.get(text[:KEY_LENGTH], ()),
        *texts.by_end.get(text[-KEY_LENGTH:], ()),
        *texts.anywhere,
    ]
    for pattern in sorted(candidates, key=lambda one: -one.fixed_length):
        match = pattern.fits.fullmatch(text)
        if match is None or pattern.fixed_length < least:
            continue
        values = match.groupdict()
        if boundary is not None and any(boundary.search(value) for value in values.values()):
            continue
        shown = {
            name: value
            if is_guess and " " not in value.strip()
            else _value_shown(name, value, texts)
            for name, value in values.items()
        }
        return PLACEHOLDER.sub(
            lambda place, values=shown: values.get(place[1], place[0]),  # type: ignore[misc]
            pattern.translation,
        )
    if text[:1].isupper():  # At the start of a sentence or a line.
        return _one(text[0].lower() + text[1:], texts, boundary, least, is_guess=is_guess)
    return None


def _value_shown(name: str, value: str, texts: Texts) -> str:
    """What stands in a message: translated if it is a word or a phrase of ours."""
    if not value:
        return value
    is_ours = OWN_WORDS.search(name) or value[0] in " ,;("
    if not is_ours and value.count(" ") < MIN_BLANKS:
        return value
    least = 0 if is_ours else LONG_MESSAGE
    for part in (value, value.strip()):
        if (translation := _one(part, texts, None, least, is_guess=not is_ours)) is not None:
            return translation
    return value


@lru_cache(maxsize=4)
def _load(language: str) -> Texts:
    locale = to_locale(language)
    file = Path(settings.LOCALE_PATHS[0]) / locale / "LC_MESSAGES" / "django.mo"
    texts = Texts({}, defaultdict(list), defaultdict(list), [])
    if not file.exists():
        return texts
    with file.open("rb") as stream:
        catalog = read_mo(stream)
    for message in catalog:
        if isinstance(message.id, str) and message.id and message.string:
            _add(message.id, str(message.string), texts)
    return texts


def _add(message: str, translation: str, texts: Texts) -> None:
    message, translation = message.strip(), translation.strip()  # Parts begin with a blank.
    fixed = PLACEHOLDER.sub("", message)
    if fixed == message:
        texts.whole[message] = translation
        return
    names = PLACEHOLDER.findall(message)
    is_exact = all(name.startswith("number") for name in names)  # Digits fit nothing else.
    if sum(map(str.isalnum, fixed)) < MIN_LETTERS and not is_exact:
        return
    pattern = Pattern(re.compile(_expression(message), re.DOTALL), translation, len(fixed))
    start, end = PLACEHOLDER.split(message)[0], PLACEHOLDER.split(message)[-1]
    if len(start) >= KEY_LENGTH:
        texts.by_start[start[:KEY_LENGTH]].append(pattern)
    elif len(end) >= KEY_LENGTH:
        texts.by_end[end[-KEY_LENGTH:]].append(pattern)
    else:
        texts.anywhere.append(pattern)


def _expression(message: str) -> str:
    seen: set[str] = set()
    parts = PLACEHOLDER.split(message)
    made = [re.escape(parts[0])]
    for name, before, fixed in zip(parts[1::2], parts[0::2], parts[2::2], strict=False):
        # A clause that is there or not hangs on a word and ends before a mark: "64 rows{rejected}."
        hangs_on = before[-1:].isalpha() or before[-1:] == "."
        may_be_empty = hangs_on and (not fixed or fixed[0] in ".,;:)")
        shape = NUMBER if name.startswith("number") else ".*?" if may_be_empty else ".+?"
        made += [f"(?P={name})" if name in seen else f"(?P<{name}>{shape})", re.escape(fixed)]
        seen.add(name)
    return "".join(made)
