"""Reads zip archives of text files whose folder is their label, as a table of texts and labels.

News groups, reviews and e-mails are published like this: `train/pos/0_9.txt`, `spam/7`.
"""

import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from projects.reading.encodings.detection import decode_text
from projects.reading.images.label_tables import SPLIT_ALIASES
from projects.reading.images.zip_archive import UnreadableEntry, ZipArchive, ZipEntry
from projects.reading.limits import MAX_CELL_CHARS
from projects.reading.packed.zip_tables import COMPANIONS, TABLE_SUFFIXES
from projects.reading.results import Issues

MIN_TEXTS, MIN_LABELS = 10, 2
MIN_SHARE = 0.9  # Of the files; beside them are word lists and licences.
COMPARED = 5  # Texts whose first lines are compared: tables of the same columns share theirs.
TEXT_SUFFIXES = (".txt", ".text", ".eml")
SEPARATOR = re.compile(r"\w\s?[,;|\t]\s?\w")
MAX_TEXT_BYTES = 4 * MAX_CELL_CHARS


def find_texts(archive: ZipArchive) -> list[ZipEntry]:
    """The text files of an archive that holds little else, in folders of at least two labels; [] of
    any other archive."""
    entries = [
        entry for entry in archive.entries() if not entry.is_system_file and entry.info.file_size
    ]
    texts = [entry for entry in entries if len(entry.parts) > 1 and _is_text(entry)]
    labels = {_label(entry) for entry in texts}
    if len(texts) < max(MIN_TEXTS, MIN_SHARE * len(entries)) or len(labels) < MIN_LABELS:
        return []
    is_split_only = all(label.casefold() in SPLIT_ALIASES for label in labels)
    return [] if is_split_only or _share_a_header(archive, texts) else texts


def write_texts(
    archive: ZipArchive, texts: Sequence[ZipEntry], target: Path, issues: Issues
) -> None:
    """Write one JSON object a line: text, label, split (where folders name one) and file."""
    splits = {entry.number: _split(entry) for entry in texts}
    has_splits = len(set(splits.values())) > 1
    with open(target, "w", encoding="utf-8") as file:
        for entry in texts:
            name = "/".join(entry.parts)
            try:
                text = decode_text(archive.read(entry, MAX_TEXT_BYTES)).strip()
            except UnreadableEntry as refusal:
                issues.add("rejected_row", f"{name[-80:]} cannot be read: {refusal}.")
                continue
            row = {"text": text, "label": _label(entry)}
            row |= {"split": splits[entry.number]} if has_splits else {}
            file.write(json.dumps(row | {"file": name}, ensure_ascii=False) + "\n")
    issues.add(
        "text_folders", f"Each of {len(texts):,} files is one text; its folder is its label."
    )


def _is_text(entry: ZipEntry) -> bool:
    """Whether the name is that of one text: `0_9.txt`, or a bare number as in news groups."""
    name = PurePosixPath(entry.parts[-1])
    if COMPANIONS.fullmatch(name.stem.casefold()):
        return False
    suffix = name.suffix.lower()
    return suffix in TEXT_SUFFIXES or (suffix not in TABLE_SUFFIXES and name.stem.isdigit())


def _label(entry: ZipEntry) -> str:
    return entry.parts[-2]


def _split(entry: ZipEntry) -> str:
    places = [part.casefold() for part in entry.parts[:-2]]
    return next((SPLIT_ALIASES[place] for place in places if place in SPLIT_ALIASES), "")


def _share_a_header(archive: ZipArchive, texts: Sequence[ZipEntry]) -> bool:
    """Whether the first of the files begin alike, as tables of the same columns do."""
    starts = set()
    for entry in islice(texts, COMPARED):
        try:
            lines = decode_text(archive.read(entry, MAX_TEXT_BYTES)).strip().splitlines()
        except UnreadableEntry:
            continue
        starts.add(lines[0] if len(lines) > 1 else "")
    return len(starts) == 1 and SEPARATOR.search(starts.pop()) is not None
