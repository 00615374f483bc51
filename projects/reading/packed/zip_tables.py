"""Which files of a zip archive are tables, as opposed to read-me files, licences and files that
operating systems add."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from projects.reading.images.label_tables import SPLIT_ALIASES
from projects.reading.images.zip_archive import UnreadableEntry, ZipArchive, ZipEntry
from projects.reading.packed.compressed import copy_bounded, require_plausible_size
from projects.reading.results import UnreadableFile

TABLE_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods",
    ".parquet", ".pq", ".arrow", ".feather",
)  # fmt: skip
TEXT_SUFFIXES = (".txt", ".data", ".dat", ".asc", ".train", ".test", "")  # Tables or notes.
DOCUMENT_SUFFIXES = (".pdf", ".docx", ".md", ".markdown")
ARCHIVE_SUFFIXES = (
    ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".zstd", ".7z", ".rar", ".tar",
)  # fmt: skip
COMPANIONS = re.compile(
    r"(read[ _-]?me|licen[cs]e|copying|notice|citation|change[ _-]?log|authors|about|manifest"
    r"|data[ _-]?package|dataset[ _-]?(metadata|infos?)|croissant|metadata|schema|package)\b.*"
)
# What Hugging Face's datasets leaves beside its Arrow files, in save_to_disk and in its cache.
NOTES_OF_DATASETS = ("dataset_info.json", "dataset_dict.json", "state.json")
MAX_SHOWN = 5
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class PackedTable:
    """A table of an archive that was unpacked to `path`."""

    name: str  # Its path inside the archive.
    path: Path

    @property
    def split(self) -> str:
        """train, validation or test where the file's name, or else a folder, says so; else ""."""
        place = PurePosixPath(self.name)
        for part in (place.stem, *reversed(place.parts[:-1])):
            words = {word.casefold() for word in _WORD.findall(part)}
            splits = {SPLIT_ALIASES[word] for word in words if word in SPLIT_ALIASES}
            if splits:
                return splits.pop() if len(splits) == 1 else ""
        return ""


@dataclass(frozen=True)
class ArchiveContents:
    """The files that may be tables, and the names of archives inside the archive."""

    tables: list[ZipEntry]
    archives: list[str]


def find_tables(archive: ZipArchive) -> ArchiveContents:
    """The tables of an archive. Raises UnreadableFile when nothing in it may be a table."""
    entries = [
        entry for entry in archive.entries() if not entry.is_system_file and entry.info.file_size
    ]
    archives = [entry for entry in entries if entry.name.lower().endswith(ARCHIVE_SUFFIXES)]
    plain = [entry for entry in entries if entry not in archives and not entry.is_image]
    tabular = [entry for entry in plain if _suffix(entry) in TABLE_SUFFIXES]
    texts = [entry for entry in plain if _suffix(entry) in TEXT_SUFFIXES]
    documents = [entry for entry in plain if _suffix(entry) in DOCUMENT_SUFFIXES]
    tables = (
        _without_companions(tabular)
        or _without_companions(texts)
        or tabular
        or (documents if len(documents) == 1 else [])
    )
    if not tables:
        raise _no_table(archives, entries)
    return ArchiveContents(tables, [entry.name for entry in archives])


def unpack_tables(
    archive: ZipArchive, entries: Sequence[ZipEntry], folder: Path
) -> list[PackedTable]:
    """Unpack these entries into `folder`. Raises UnreadableFile for one that is protected, damaged,
    or unpacks to too much."""
    unpacked = []
    for entry in entries:
        target, packed = folder / f"packed-{entry.number}", entry.info.compress_size
        try:
            require_plausible_size(entry.info.file_size, packed)
            archive.unpack(entry, target, partial(copy_bounded, packed_bytes=packed))
        except UnreadableEntry as refusal:
            raise UnreadableFile(
                "bad_archive", f"{entry.name[-80:]!r} in this archive cannot be read: {refusal}."
            ) from None
        unpacked.append(PackedTable("/".join(entry.parts), target))
    return unpacked


def _suffix(entry: ZipEntry) -> str:
    return PurePosixPath(entry.name).suffix.lower()


def _without_companions(entries: Sequence[ZipEntry]) -> list[ZipEntry]:
    is_of_datasets = any(_suffix(entry) == ".arrow" for entry in entries)
    if is_of_datasets:
        entries = [one for one in entries if one.parts[-1] not in NOTES_OF_DATASETS]
    stems = [PurePosixPath(entry.name).stem.casefold() for entry in entries]
    return [
        entry
        for entry, stem in zip(entries, stems, strict=True)
        if not COMPANIONS.fullmatch(stem) or entry.name.lower().endswith(".csv")
    ]


def _no_table(archives: Sequence[ZipEntry], entries: Sequence[ZipEntry]) -> UnreadableFile:
    if archives:
        return UnreadableFile(
            "nested_archive",
            f"This archive holds another one, {archives[0].name[-80:]!r}. Unpack it and upload what"
            " is inside.",
        )
    if not entries:
        return UnreadableFile("empty_file", "This archive is empty: no file in it has any bytes.")
    names = ", ".join(entry.name[-80:] for entry in entries[:MAX_SHOWN])
    return UnreadableFile(
        "no_table",
        f"This zip archive holds no table, pictures or labelled texts, but {names}. Zip a table"
        " (CSV, Excel, JSON Lines or Parquet), or pictures or texts in one folder for each label.",
    )
