"""Detects the format of an uploaded file from its bytes; the name is only a hint."""

import json
import zipfile
from pathlib import Path

from projects.reading.arrow import is_arrow
from projects.reading.encodings.detection import decode_text
from projects.reading.encodings.wide import detect_wide
from projects.reading.images.zip_archive import is_picture
from projects.reading.json.scripts import is_script_of_json
from projects.reading.refused_formats import (
    COMPRESSED_SIGNATURES,
    find_refused_binary,
    find_refused_text,
)
from projects.reading.results import UnreadableFile

OLE_SIGNATURE = b"\xd0\xcf\x11\xe0"  # Old Office files, .xls among them.
ACCEPTED_FORMATS = (
    "CSV, TSV, JSON Lines, JSON, Parquet, Arrow (Feather), Excel (.xlsx, .xlsb, .xls), OpenDocument"
    " (.ods), one of these in a zip, .gz, .bz2, .xz or .zst, a zip of pictures or of texts, or a"
    " document (PDF, Word's .docx, Markdown)"
)
DOCUMENT_FORMATS = ("pdf", "docx", "markdown")
PACKED_FORMATS = ("zip", "compressed")  # What they hold has to be looked at in turn.
SCRIPT_SUFFIXES = (".js", ".mjs", ".json", ".jsonp")
MARKDOWN_SUFFIXES = (".md", ".markdown")  # Its bytes could be a table's.
SAMPLE_BYTES = 64 * 1024
MIN_BINARY_CHECK_BYTES = 512  # A file this small may hold odd characters in earnest.
# Without those that occur in text or separate cells (such as Hive's 1 and ASCII's 31).
CONTROL_CODES = (0, *range(2, 9), *range(14, 27), *range(28, 31))
# Zip archives that are not read, by a file that they hold.
UNSUPPORTED_CONTENTS = [
    ("ppt/", "a PowerPoint presentation"),
    ("META-INF/container.xml", "an e-book (EPUB)"),
    (
        "Index/Document.iwa",
        "a document of Apple's Numbers, Pages or Keynote. Export it as CSV",
    ),
]


def detect_format(path: Path, filename: str) -> str:
    """The file's format: delimited, jsonl, json, parquet, arrow, excel, images, or one of
    DOCUMENT_FORMATS or PACKED_FORMATS. Raises UnreadableFile for any other."""
    with open(path, "rb") as file:
        start = file.read(SAMPLE_BYTES)
    if not start:
        raise UnreadableFile("empty_file", "This file is empty: it has no bytes.")
    if start.startswith(OLE_SIGNATURE):
        return "excel"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"%PDF"):
        return "pdf"
    if is_arrow(start):
        return "arrow"
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return _detect_zip_format(path)
    if any(start.startswith(mark) for mark, _ in COMPRESSED_SIGNATURES):
        return "compressed"
    if what := find_refused_binary(start):
        raise _unsupported(what)
    return _detect_text_format(start, filename)


def _unsupported(what: str) -> UnreadableFile:
    return UnreadableFile("unsupported_format", f"This is {what}. Lathe reads {ACCEPTED_FORMATS}.")


def _detect_zip_format(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = set()
    if "word/document.xml" in names:
        return "docx"
    for content, what in UNSUPPORTED_CONTENTS:
        if any(name.startswith(content) for name in names):
            raise _unsupported(what)
    is_open_document = {"mimetype", "content.xml"} <= names
    if is_open_document or any(name.startswith("xl/") for name in names):
        return "excel"
    return "images" if any(map(is_picture, names)) else "zip"


def _detect_text_format(start: bytes, filename: str) -> str:
    text = decode_text(start).lstrip("\ufeff \t\r\n")
    suffix = Path(filename).suffix.lower()
    if suffix in SCRIPT_SUFFIXES and is_script_of_json(text):
        return "json"
    if what := find_refused_text(text, suffix):
        raise _unsupported(what)
    if text.startswith("[") and (suffix == ".json" or text[1:].lstrip().startswith("{")):
        return "json"
    if suffix in (".jsonl", ".ndjson") or (text.startswith("{") and _is_json_line(text)):
        return "jsonl"
    if suffix == ".json" and text.startswith("{"):
        return "json"
    if suffix == ".json" and _is_single_value(text):
        raise UnreadableFile(
            "no_rows",
            "This JSON file holds a single value, not rows. Save a list of objects, such as"
            ' [{"text": "…", "label": "…"}], or one object a line.',
        )
    if suffix == ".json" and not _is_binary(start):
        raise UnreadableFile(
            "bad_json",
            f"This file is called .json and begins with {text[:20]!r}, which no JSON does. Save it"
            " as JSON, or rename it if it is a table.",
        )
    if _is_binary(start):
        raise _unsupported(
            "not a text table, or one in UTF-16 whose order of bytes cannot be told; save that as"
            " UTF-8"
            if b"\0" in start
            else "not a text table"
        )
    if suffix in MARKDOWN_SUFFIXES:
        return "markdown"
    return "delimited"


def _is_json_line(text: str) -> bool:
    try:
        return isinstance(json.loads(text.splitlines()[0]), dict)
    except (ValueError, RecursionError):
        return False


def _is_single_value(text: str) -> bool:
    """Whether a JSON document is a number, a text, true, false or null."""
    try:
        return not isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_binary(start: bytes) -> bool:
    """Whether many bytes are control codes, which text does not hold except for the zeros of
    UTF-16, which are at every other place."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or detect_wide(start)[0]:
        return False
    even, odd = start[0::2], start[1::2]
    if min(even.count(0), odd.count(0)) < 0.05 * len(even) and start.count(0) > 0.2 * len(start):
        return False
    control = sum(start.count(bytes([code])) for code in CONTROL_CODES)
    return len(start) > MIN_BINARY_CHECK_BYTES and control > 0.05 * len(start)
