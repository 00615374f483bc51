"""Detects the encoding of a text file. The result is always shown and can be overruled."""

import codecs
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from projects.reading.encodings.single_byte import detect_single_byte
from projects.reading.encodings.wide import detect_wide
from projects.reading.results import Issues, ReadingOptions

CHUNK_BYTES = 1024 * 1024
SAMPLE_BYTES = 64 * 1024
MIN_LANGUAGE_SCORE = 0.75
MIN_CHARACTERS = 40  # Different ones, without which languages are hard to tell apart.
MIN_TWICE_SHARE = 0.8  # Of lines with other letters than ASCII's.
MAX_INVALID_SHARE = 0.05  # Of a UTF-8 file's non-ASCII characters; beyond, it is something else.

# What a person may choose by hand, with the names people know.
ENCODING_CHOICES = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 without a mark (little-endian)",
    "utf-16-be": "UTF-16 without a mark (big-endian)",
    "utf-32": "UTF-32",
    "cp1252": "Western (Windows-1252)",
    "latin-1": "Western (Latin-1)",
    "gb18030": "Chinese (GB18030, GBK)",
    "cp932": "Japanese (Shift-JIS)",
    "euc_jp": "Japanese (EUC-JP)",
    "iso2022_jp": "Japanese (ISO-2022-JP)",
    "big5": "Chinese (Big5)",
    "euc_kr": "Korean (EUC-KR)",
    "cp1251": "Cyrillic (Windows-1251)",
    "koi8_r": "Cyrillic (KOI8-R)",
    "koi8_u": "Cyrillic (KOI8-U)",
    "cp866": "Cyrillic (DOS, 866)",
    "mac_cyrillic": "Cyrillic (Mac)",
    "iso8859_5": "Cyrillic (ISO 8859-5)",
    "cp1250": "Central European (Windows-1250)",
    "iso8859_2": "Central European (ISO 8859-2)",
    "cp852": "Central European (DOS, 852)",
    "iso8859_15": "Western with euro sign (ISO 8859-15)",
    "cp850": "Western (DOS, 850)",
    "mac_roman": "Mac Roman",
    "cp1254": "Turkish (Windows-1254)",
    "cp1257": "Baltic (Windows-1257)",
    "cp1253": "Greek (Windows-1253)",
    "iso8859_7": "Greek (ISO 8859-7)",
    "cp1255": "Hebrew (Windows-1255)",
    "cp1256": "Arabic (Windows-1256)",
    "cp874": "Thai (Windows-874)",
}
BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
WIDE_ENCODINGS = frozenset({"utf-8", "gb18030", "cp932", "euc_jp", "big5", "euc_kr"})
ISO_2022_JP_MARKS = (b"\x1b$B", b"\x1b$@")


@dataclass(frozen=True)
class Encoding:
    """A Python codec name, and a phrase that says why it was chosen."""

    name: str
    reason: str
    invalid_bytes: int = 0  # Not valid in this encoding; each becomes U+FFFD.
    is_guess: bool = False  # Nothing fits well: a person must look.

    @property
    def base_name(self) -> str:
        """The codec without its byte order mark variants."""
        return "utf-8" if self.name == "utf-8-sig" else self.name


def choose_encoding(path: Path, overrides: ReadingOptions) -> Encoding:
    """The encoding that a person chose, else the one detected."""
    detected, chosen = detect_encoding(path), overrides.get("encoding")
    if chosen not in ENCODING_CHOICES:
        return detected
    name = detected.name if detected.base_name == chosen else chosen
    return Encoding(name, "chosen by hand", detected.invalid_bytes)


def report_doubts(encoding: Encoding, issues: Issues) -> None:
    """Report characters that may be wrong."""
    if encoding.invalid_bytes:
        issues.add(
            "broken_characters",
            "1 place is not valid UTF-8; it now reads as \ufffd."
            if encoding.invalid_bytes == 1
            else f"{encoding.invalid_bytes:,} places are not valid UTF-8; they now read as \ufffd.",
        )
    if encoding.is_guess:
        issues.add(
            "encoding_guess",
            "The encoding of this file is a guess: look whether accents and quotation marks are"
            " right, and choose another encoding below if they are not.",
        )


def report_double_encoding(sample: Sequence[str], issues: Issues) -> None:
    """Report text that was UTF-8, was read as Windows-1252 and saved again: KÃ¶ln for Köln."""
    lines = [line for line in sample if not line.isascii()]
    twice = sum(map(_is_encoded_twice, lines))
    if twice > 2 and twice >= MIN_TWICE_SHARE * len(lines):
        issues.add(
            "encoded_twice",
            "Letters beyond ASCII seem converted twice, such as Ã¼ for ü. They are kept so: save"
            " the file again from its source, as UTF-8.",
        )


def _is_encoded_twice(line: str) -> bool:
    for codec in ("cp1252", "latin-1"):  # The latter in Facebook's exports.
        with suppress(UnicodeError):
            return line.encode(codec).decode("utf-8") != line
    return False


def detect_encoding(path: Path) -> Encoding:
    """The encoding of a text file, by its byte order mark, its validity and its letters."""
    with open(path, "rb") as file:
        return _detect_encoding(file)


def decode_text(content: bytes, *, otherwise: str = "") -> str:
    """The text of a small file, without its byte order mark; `otherwise` is the encoding to take
    in place of one with a byte for each letter."""
    encoding = _detect_encoding(io.BytesIO(content))
    if otherwise and encoding.base_name not in WIDE_ENCODINGS:
        return content.decode(otherwise, "replace")
    name = "utf-8-sig" if encoding.name == "utf-8" else encoding.name
    return content.decode(name, "replace")


def _detect_encoding(file: BinaryIO) -> Encoding:
    start = file.read(SAMPLE_BYTES)
    for mark, name in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return Encoding(name, "the file starts with a byte order mark")
    wide = _detect_utf16_without_bom(start)
    if wide:
        return Encoding(wide, "every other byte is zero")
    wide, is_guess = detect_wide(start)
    if wide:
        return Encoding(wide, "zeros stand as in UTF-16 or UTF-32", is_guess=is_guess)
    if start.isascii() and any(mark in start for mark in ISO_2022_JP_MARKS):
        return Encoding("iso2022_jp", "it holds the escape sequences of ISO-2022-JP")
    good, broken = _count_utf8_characters(file)
    if not broken:
        return Encoding("utf-8", "every byte is valid UTF-8" if good else "plain ASCII")
    if good and broken / (good + broken) <= MAX_INVALID_SHARE:
        return Encoding("utf-8", "nearly every character is valid UTF-8", broken)
    return _detect_legacy_encoding(_read_non_ascii_lines(file).replace(b"\0", b""))


def _detect_utf16_without_bom(start: bytes) -> str:
    """UTF-16 text that is mostly ASCII has zeros at every other place."""
    even, odd = start[0::2], start[1::2]
    if len(start) < 4:
        return ""
    if odd.count(0) > 0.6 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.6 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return ""


def _count_utf8_characters(file: BinaryIO) -> tuple[int, int]:
    """How many non-ASCII characters are valid UTF-8 and how many places are not."""
    strict = _count_valid_utf8_characters(file)
    if strict is not None:
        return strict, 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = broken = genuine_replacements = 0
    file.seek(0)
    while True:
        chunk = file.read(CHUNK_BYTES)
        text = decoder.decode(chunk, final=not chunk)
        if not text.isascii():
            good += sum(1 for letter in text if letter > "\x7f" and letter != "\ufffd")
            broken += text.count("\ufffd")
        genuine_replacements += chunk.count(b"\xef\xbf\xbd")
        if not chunk:
            return good + genuine_replacements, max(0, broken - genuine_replacements)


def _count_valid_utf8_characters(file: BinaryIO) -> int | None:
    """Roughly how many non-ASCII characters a valid UTF-8 file holds; None for another file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    characters = size = 0
    file.seek(0)
    try:
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
            characters += len(decoder.decode(chunk))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return size - characters


def _read_non_ascii_lines(file: BinaryIO) -> bytes:
    """The first lines that are not ASCII, as only they distinguish encodings."""
    lines: list[bytes] = []
    size = 0
    file.seek(0)
    while size < SAMPLE_BYTES and (line := file.readline(SAMPLE_BYTES)):
        if not line.isascii():
            lines.append(line)
            size += len(line)
    return b"".join(lines)


def _detect_legacy_encoding(sample: bytes) -> Encoding:
    scores = {
        "gb18030": _language_score(sample, "gb18030", _gb2312_likelihood),
        "cp932": _language_score(sample, "cp932", _japanese_likelihood),
        "euc_jp": _language_score(sample, "euc_jp", _japanese_likelihood),
        "euc_kr": _language_score(sample, "euc_kr", _korean_likelihood),
        "big5": _language_score(sample, "big5", _big5_likelihood),
    }
    name = max(scores, key=lambda codec: scores[codec])
    is_kana = name in ("cp932", "euc_jp") and scores[name] > 1.0
    if is_kana or (scores[name] > MIN_LANGUAGE_SCORE and not _looks_western(sample)):
        fitting = sum(score > MIN_LANGUAGE_SCORE for score in scores.values())
        is_guess = fitting > 1 and len(set(_decode_truncated(sample, name))) < MIN_CHARACTERS
        return Encoding(name, f"its bytes read as {ENCODING_CHOICES[name]} text", is_guess=is_guess)
    return _detect_single_byte_encoding(sample)


def _detect_single_byte_encoding(sample: bytes) -> Encoding:
    reading = detect_single_byte(sample)
    if reading.is_guess:
        reason = "a guess: not UTF-8, and its letters could be those of several encodings"
        return Encoding(reading.encoding, reason, is_guess=True)
    return Encoding(reading.encoding, f"its letters read as {ENCODING_CHOICES[reading.encoding]}")


def _looks_western(sample: bytes) -> bool:
    """Accented letters stand alone between ASCII letters; double-byte text comes in runs."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    return sum(len(run) == 1 for run in runs) > 0.5 * len(runs)


def _language_score(sample: bytes, codec: str, likeness: Callable[[str, str], float]) -> float:
    """Share of the non-ASCII characters that are common in that language; 0 if undecodable."""
    text = _decode_truncated(sample, codec)
    foreign = [letter for letter in text if letter > "\x7f"]
    if codec == "euc_kr":  # Few Chinese words that recur may all be Hangul by chance.
        foreign = sorted(set(foreign))
    if not foreign:
        return 0.0
    return sum(likeness(letter, codec) for letter in foreign) / len(foreign)


def _decode_truncated(sample: bytes, codec: str) -> str:
    """The sample decoded, without a last character that its end cuts; "" where it cannot be."""
    for cut in range(4):
        try:
            return sample[: len(sample) - cut].decode(codec)
        except UnicodeDecodeError as error:
            if error.start < len(sample) - 8:
                return ""
    return ""


def _gb2312_likelihood(letter: str, codec: str) -> float:
    """Level-1 GB2312 characters (the 3,755 commonest) have lead bytes 0xB0 to 0xD7."""
    code = letter.encode(codec)
    if len(code) == 2 and 0xB0 <= code[0] <= 0xD7 and code[1] >= 0xA1:
        return 1.0
    return 0.9 if _is_cjk_punctuation(letter) else 0.2 * (len(code) == 2 and code[1] >= 0xA1)


def _japanese_likelihood(letter: str, codec: str) -> float:
    if "\u3040" <= letter <= "\u30ff":
        return 1.2
    if "\uff61" <= letter <= "\uff9f":  # Half-width katakana: what misread text is full of.
        return 0.0
    if _is_cjk_punctuation(letter):
        return 0.9
    code = letter.encode(codec)
    low, high = (0xB0, 0xCF) if codec == "euc_jp" else (0x88, 0x97)
    return 0.8 if len(code) == 2 and low <= code[0] <= high else 0.2  # Level-1 kanji.


def _korean_likelihood(letter: str, codec: str) -> float:
    return 1.1 if "\uac00" <= letter <= "\ud7a3" else 0.1


def _big5_likelihood(letter: str, codec: str) -> float:
    code = letter.encode(codec)
    if len(code) == 2 and 0xA4 <= code[0] <= 0xC6:  # Frequently used characters.
        return 0.9
    return 0.7 if _is_cjk_punctuation(letter) else 0.1


def _is_cjk_punctuation(letter: str) -> bool:
    return "\u3000" <= letter <= "\u303f" or "\uff01" <= letter <= "\uff60"
