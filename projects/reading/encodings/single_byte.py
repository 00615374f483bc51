"""Detects encodings of one byte a letter, by the scripts and alphabets that they would make.

The same byte is ł in Windows-1250, ³ in Windows-1252 and Γ in a DOS code page. Of scripts other
than Latin, how often each letter comes decides (charset-normalizer); of Latin ones, whether the
letters beyond ASCII are those of one language (exemplar characters of Unicode's CLDR) and stand
where such letters stand. Where two readings fit alike, the likelier one is taken and called a
guess.
"""

import unicodedata
from collections import Counter
from dataclasses import dataclass

from charset_normalizer import CharsetMatch, from_bytes

from projects.reading.encodings.western import letter_fits, score_reading

# With what a reading must be better by: encodings of other systems than Windows are rarer.
SCRIPT_ENCODINGS = {
    "cp1251": 0.0, "koi8_r": 0.02, "koi8_u": 0.05, "cp866": 0.05, "mac_cyrillic": 0.08,
    "iso8859_5": 0.08, "cp1253": 0.0, "iso8859_7": 0.05, "cp1255": 0.0, "cp1256": 0.0, "cp874": 0.0,
}  # fmt: skip
# The likelier first: where several read a file as the same text, the first one is named. Each with
# what its fit must be better by: files of DOS are rarer than those of Windows.
LATIN_ENCODINGS = {
    "cp1252": 0.0, "iso8859_15": 0.01, "cp1250": 0.04, "iso8859_2": 0.05, "cp1254": 0.06,
    "cp1257": 0.06, "mac_roman": 0.12, "cp850": 0.2, "cp852": 0.2,
}  # fmt: skip
ICELANDIC, NEVER_MISSING_IN_ICELANDIC = "áðéíóúýþæö", "áíó"
_WESTERN = (
    "äöüßéèêàç", "éèêëàâçîïôùûüÿœæ", "áéíóúñüàèòçï", "áàâãçéêíóôõúü", "àèéìòùîó", "ëïéèöüáóç",
    "åäöæøéü", ICELANDIC, "éïñç",
)  # fmt: skip
_CENTRAL = (
    "ąćęłńóśźżé", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţșț", "čćđšž",
)  # fmt: skip
_TURKISH, _BALTIC = ("çğıöşüâîû",), ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž")
ALPHABETS = {
    "cp1252": _WESTERN, "iso8859_15": _WESTERN, "mac_roman": _WESTERN, "cp850": _WESTERN,
    "cp1250": _CENTRAL, "iso8859_2": _CENTRAL, "cp852": _CENTRAL, "cp1254": _TURKISH,
    "cp1257": _BALTIC,
}  # fmt: skip
LETTERS_OF_MEASURES = frozenset("µºª")
SCRIPTS = frozenset({"CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"})
MIN_SCRIPT_SHARE = 0.9  # Of the letters beyond ASCII.
MIN_WHOLE_SHARE = 0.8  # Of those letters that border on no Latin one; accents stand in words.
MIN_PLACED = 0.6  # Capitals begin words, in scripts that have them.
MIN_COHERENCE = 0.15  # Of letters as frequent as the language has them.
CLEAR_LIKELIHOOD = 0.02  # Ahead of readings in other encodings.
MIN_FIT, CLEAR_FIT = 0.85, 0.1  # Of characters in place, and how far ahead of other readings.


@dataclass(frozen=True)
class _LatinReading:
    """A Latin reading. `fit`: the share of characters beyond ASCII that are where such characters
    may be; `score`: `fit` less a penalty for a rare encoding."""

    encoding: str
    text: str
    fit: float

    @property
    def score(self) -> float:
        return self.fit - LATIN_ENCODINGS[self.encoding]


@dataclass(frozen=True)
class Reading:
    """The likeliest encoding, and whether another one fits about as well."""

    encoding: str
    is_guess: bool


def detect_single_byte(sample: bytes) -> Reading:
    """The likeliest encoding of a sample that holds bytes beyond ASCII and is no UTF-8."""
    latin = _rank_latin(sample)
    is_latin = bool(latin) and latin[0].fit >= MIN_FIT
    script = None if is_latin else _find_other_script(sample)
    if script is not None:
        return script
    if not latin:
        return Reading("latin-1", is_guess=True)
    best = latin[0]
    rival = next((reading.score for reading in latin if reading.text != best.text), 0.0)
    is_guess = best.fit < MIN_FIT or best.score - rival < CLEAR_FIT
    return Reading(best.encoding, is_guess)


def _find_other_script(sample: bytes) -> Reading | None:
    """The likeliest reading in a script other than Latin; None where none is plausible."""
    matches = from_bytes(sample, cp_isolation=list(SCRIPT_ENCODINGS))
    scored = [
        (match.coherence + placed - SCRIPT_ENCODINGS[match.encoding], match)
        for match in matches
        if _other_script(str(match)) and (placed := min(1.0, _placed(match))) >= MIN_PLACED
    ]
    if not scored:
        return None
    best_score, best = max(scored, key=lambda entry: entry[0])
    rival = max((score for score, match in scored if str(match) != str(best)), default=0.0)
    is_guess = best.coherence < MIN_COHERENCE or best_score - rival < CLEAR_LIKELIHOOD
    return Reading(best.encoding, is_guess)


def _placed(match: CharsetMatch) -> float:
    """From -1 to 1: whether capitals stand where words begin; 1 of a script that has none."""
    text = str(match)
    cased = sum(letter > "\x7f" and letter.upper() != letter.lower() for letter in text)
    return score_reading(text) / cased if cased > len(text) / 10 else 1.0


def _other_script(text: str) -> str:
    """The script, not Latin, of nearly all letters beyond ASCII; "" when there is none."""
    foreign = [
        (letter, text[place - 1 : place] + text[place + 1 : place + 2])
        for place, letter in enumerate(text)
        if letter > "\x7f" and letter.isalpha()
    ]
    scripts = Counter(unicodedata.name(letter, "?").partition(" ")[0] for letter, _ in foreign)
    script, count = scripts.most_common(1)[0] if scripts else ("", 0)
    whole = sum(
        any(neighbour > "\x7f" for neighbour in beside)
        and not any(neighbour.isascii() and neighbour.isalpha() for neighbour in beside)
        for _, beside in foreign
    )
    is_clear = count > MIN_SCRIPT_SHARE * len(foreign) and whole > MIN_WHOLE_SHARE * len(foreign)
    return script if script in SCRIPTS and is_clear else ""


def _rank_latin(sample: bytes) -> list[_LatinReading]:
    """The Latin readings, the likeliest first."""
    readings = []
    for encoding in LATIN_ENCODINGS:
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError:
            continue
        fit = round(_latin_fit(text, ALPHABETS[encoding]), 3)
        readings.append(_LatinReading(encoding, text, fit))
    return sorted(readings, key=lambda reading: -reading.score)


def _latin_fit(text: str, alphabets: tuple[str, ...]) -> float:
    """The share of characters beyond ASCII that stand where they may, letters only of the one
    language that explains most."""
    letters: Counter[str] = Counter()
    marks = total = 0
    for place, letter in enumerate(text):
        if letter <= "\x7f":
            continue
        total += 1
        before, behind = text[place - 1 : place], text[place + 1 : place + 2]
        is_word = letter.islower() and not (before + behind).strip()  # As Italian è and French à.
        if is_word or letter_fits(before, letter, behind):
            is_letter = letter.isalpha() and letter not in LETTERS_OF_MEASURES
            marks += not is_letter
            letters[letter.lower()[0]] += is_letter
    explained = max(
        sum(letters[letter] for letter in alphabet)
        for alphabet in alphabets
        if alphabet != ICELANDIC
        or any(letters[accented] for accented in NEVER_MISSING_IN_ICELANDIC)
    )
    return (marks + explained) / max(1, total)
