"""Reads untrusted zip archives entry by entry; nothing is ever unpacked to disk by its name."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from projects.reading.encodings.detection import decode_text
from projects.reading.limits import (
    MAX_ARCHIVE_BYTES,
    MAX_COMPRESSION_RATIO,
    MAX_IMAGE_BYTES,
    MAX_IMAGES,
)
from projects.reading.results import UnreadableFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
TABLE_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".xlsx", ".xls", ".ods",
)  # fmt: skip
SYSTEM_FILE_NAMES = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
MIN_RATIO_CHECK_BYTES = 1024**2  # Below this even a flat image's ratio harms nobody.
UTF_8_NAME = 0x800  # Flag of an entry.
MAX_TABLE_BYTES = 64 * 1024**2
UNPACKS_TO_MORE = "This archive unpacks to more than it promised."
DAMAGED_ARCHIVE = "This zip archive is damaged or cut short. Make it again and upload it again."


class UnreadableEntry(Exception):
    """One entry that is not read; the message is the reason, as the end of a sentence."""


@dataclass(frozen=True)
class ZipEntry:
    """One file of the archive. `number` counts entries from 1, as they stand in it."""

    number: int
    name: str
    parts: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def is_image(self) -> bool:
        return is_picture(self.name)

    @property
    def is_table(self) -> bool:
        return self.name.lower().endswith(TABLE_SUFFIXES)

    @property
    def is_system_file(self) -> bool:
        hidden = (part.startswith(".") and part != ".." for part in self.parts)
        return any(hidden) or any(part in SYSTEM_FILE_NAMES for part in self.parts)


def is_picture(name: str) -> bool:
    """Whether an entry's name is that of a picture, and not of a copy that a system added."""
    parts = name.replace("\\", "/").split("/")
    is_copy = parts[-1].startswith("._") or any(part in SYSTEM_FILE_NAMES for part in parts)
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_copy


def _file_names(infos: list[zipfile.ZipInfo]) -> list[str]:
    """The names of all entries. Those without the mark of UTF-8 are in whatever encoding the
    system that packed them has, which zipfile takes for CP437 of DOS."""
    unmarked = [info.orig_filename for info in infos if not info.flag_bits & UTF_8_NAME]
    written = b"\n".join(name.encode("cp437") for name in unmarked)
    if written.isascii():
        return [info.filename for info in infos]
    names = dict(zip(unmarked, decode_text(written, otherwise="cp437").split("\n"), strict=True))
    return [
        info.filename if info.flag_bits & UTF_8_NAME else names[info.orig_filename]
        for info in infos
    ]


def _require_readable(entry: ZipEntry) -> None:
    if ".." in entry.parts or entry.name.startswith("/") or entry.name[1:2] == ":":
        raise UnreadableEntry("its name points outside the archive")
    if entry.info.flag_bits & 1:
        raise UnreadableEntry("it is protected by a password")


@contextmanager
def _entry_errors() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
        raise UnreadableEntry("it is damaged inside the archive") from error
    except (NotImplementedError, RuntimeError) as error:
        raise UnreadableEntry("it is packed in a way that cannot be read") from error


class ZipArchive:
    """An open zip file with a budget of bytes to unpack."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnreadableFile("bad_archive", DAMAGED_ARCHIVE) from error
        self._remaining_bytes = MAX_ARCHIVE_BYTES

    def __enter__(self) -> "ZipArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def entries(self) -> Iterator[ZipEntry]:
        """All files. Raises UnreadableFile when there are too many files or bytes to unpack."""
        infos = self._zip.infolist()
        if len(infos) > MAX_IMAGES:
            raise UnreadableFile(
                "too_many_files",
                f"This archive holds {len(infos):,} files; at most {MAX_IMAGES:,} are read.",
            )
        promised = sum(info.file_size for info in infos)
        if promised > MAX_ARCHIVE_BYTES:
            raise UnreadableFile(
                "archive_too_large",
                f"Unpacked, this archive would take {promised / 1024**3:,.1f} GB; at most"
                f" {MAX_ARCHIVE_BYTES // 1024**3} GB are read. Split it, or shrink the pictures.",
            )
        names = _file_names(infos)
        for number, (info, name) in enumerate(zip(infos, names, strict=True), 1):
            if not info.is_dir():
                name = name.replace("\\", "/")
                parts = tuple(part for part in name.split("/") if part not in ("", "."))
                yield ZipEntry(number, name, parts or (name,), info)

    def read(self, entry: ZipEntry, most_bytes: int = MAX_IMAGE_BYTES) -> bytes:
        """The entry's bytes. Raises UnreadableEntry with the reason, or UnreadableFile where the
        archive unpacks to more bytes than its directory states."""
        info = entry.info
        _require_readable(entry)
        if info.file_size > most_bytes:
            raise UnreadableEntry(f"it is larger than {most_bytes // 1024**2} MB")
        if info.file_size > max(MIN_RATIO_CHECK_BYTES, MAX_COMPRESSION_RATIO * info.compress_size):
            raise UnreadableEntry("it unpacks to far more than a picture would, as zip bombs do")
        with _entry_errors(), self._zip.open(info) as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise UnreadableEntry(f"it is larger than {most_bytes // 1024**2} MB")
        self._remaining_bytes -= len(content)
        if self._remaining_bytes < 0:
            raise UnreadableFile("archive_too_large", UNPACKS_TO_MORE)
        return content

    def unpack(self, entry: ZipEntry, target: Path, copy: Callable[[IO[bytes], Path], int]) -> None:
        """Write a table's bytes to `target` by `copy`, which bounds them. Raises UnreadableEntry
        with the reason, or what `copy` raises."""
        _require_readable(entry)
        with _entry_errors(), self._zip.open(entry.info) as file:
            self._remaining_bytes -= copy(file, target)
        if self._remaining_bytes < 0:
            raise UnreadableFile("archive_too_large", UNPACKS_TO_MORE)
