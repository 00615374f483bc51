"""Tells what kind of file was uploaded from its bytes; the name is only a hint."""

import json
import zipfile
from pathlib import Path

from projects.reading.outcome import Unreadable

ACCEPTED = "CSV, TSV, JSON Lines, JSON, Parquet, Excel (.xlsx) or a zip of pictures"
SNIFFED_BYTES = 64 * 1024
SMALL_BYTES = 512  # A file this small may hold odd characters in earnest.
CONTROLS = (*range(9), *range(14, 27), *range(28, 32))  # None that text is written with.
PICTURE = "one picture. Zip many of them, in one folder for each label"
# What is refused by its first bytes, and as what it is named in the refusal.
REFUSED = [
    (b"\x1f\x8b", "a gzip archive. Unpack it and upload the file inside"),
    (b"BZh", "a bzip2 archive. Unpack it and upload the file inside"),
    (b"\xfd7zXZ", "an xz archive. Unpack it and upload the file inside"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive. Unpack it and upload the file inside"),
    (b"7z\xbc\xaf", "a 7-Zip archive. Unpack it and upload the file inside"),
    (b"Rar!", "a RAR archive. Unpack it and upload the file inside"),
    (b"%PDF", "a PDF, which holds pages, not rows. Export its table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file. Save it as .xlsx or CSV"),
    (b"SQLite format 3", "a SQLite database. Export the table as CSV"),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF8", PICTURE),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
]


def kind_of(path: Path, filename: str) -> str:
    """One of delimited, jsonl, json, parquet, excel, pictures; else raises Unreadable."""
    with open(path, "rb") as file:
        start = file.read(SNIFFED_BYTES)
    if not start:
        raise Unreadable("empty_file", "This file is empty: it has no bytes.")
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return _kind_of_zip(path)
    for mark, what in REFUSED:
        if start.startswith(mark):
            raise Unreadable("unsupported_format", f"This is {what}. Lathe reads {ACCEPTED}.")
    return _kind_of_text(start, filename)


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = set()
    return "excel" if any(name.startswith("xl/") for name in names) else "pictures"


def _kind_of_text(start: bytes, filename: str) -> str:
    text = start.decode("utf-8-sig", "replace").lstrip()
    suffix = Path(filename).suffix.lower()
    if text.startswith("[") and (suffix == ".json" or text[1:].lstrip().startswith("{")):
        return "json"
    if suffix in (".jsonl", ".ndjson") or (text.startswith("{") and _is_json_line(text)):
        return "jsonl"
    if suffix == ".json" and text.startswith("{"):
        return "json"
    if _is_binary(start):
        raise Unreadable("unsupported_format", f"This is not a text table. Lathe reads {ACCEPTED}.")
    return "delimited"


def _is_json_line(text: str) -> bool:
    try:
        return isinstance(json.loads(text.splitlines()[0]), dict)
    except (ValueError, RecursionError):
        return False


def _is_binary(start: bytes) -> bool:
    """Control characters do not come in text, except in UTF-16, whose zeros stand in order."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    even, odd = start[0::2], start[1::2]
    if min(even.count(0), odd.count(0)) < 0.05 * len(even) and start.count(0) > 0.2 * len(start):
        return False
    control = sum(start.count(bytes([code])) for code in CONTROLS)
    return len(start) > SMALL_BYTES and control > 0.05 * len(start)
