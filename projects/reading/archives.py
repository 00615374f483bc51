"""Reads untrusted zip archives entry by entry; nothing is ever unpacked to disk by its name."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from projects.reading.limits import (
    MOST_PICTURE_BYTES,
    MOST_PICTURES,
    MOST_PICTURES_BYTES,
    MOST_RATIO,
)
from projects.reading.outcome import Unreadable

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
SYSTEM_NAMES = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
SMALL_BYTES = 1024**2  # Below this even a flat picture's ratio harms nobody.
MOST_TABLE_BYTES = 64 * 1024**2
DAMAGED = "This zip archive is damaged or cut short. Make it again and upload it again."


class Refused(Exception):
    """One entry that is not read; the message is the reason, as the end of a sentence."""


@dataclass(frozen=True)
class Entry:
    """One file of the archive. `number` counts entries from 1, as they stand in it."""

    number: int
    name: str
    parts: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def is_picture(self) -> bool:
        return self.name.lower().endswith(PICTURE_SUFFIXES)

    @property
    def is_table(self) -> bool:
        return self.name.lower().endswith(".csv")

    @property
    def is_system(self) -> bool:
        hidden = (part.startswith(".") and part != ".." for part in self.parts)
        return any(hidden) or any(part in SYSTEM_NAMES for part in self.parts)


class Archive:
    """An open zip file with a budget of bytes to unpack."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise Unreadable("bad_archive", DAMAGED) from error
        self._left = MOST_PICTURES_BYTES

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def entries(self) -> Iterator[Entry]:
        """All files. Raises Unreadable when there are too many, or too much, to unpack."""
        infos = self._zip.infolist()
        if len(infos) > MOST_PICTURES:
            sentence = f"This archive holds {len(infos):,} files; at most {MOST_PICTURES:,} are."
            raise Unreadable("too_many_files", sentence.replace("are.", "are read."))
        promised = sum(info.file_size for info in infos)
        if promised > MOST_PICTURES_BYTES:
            raise Unreadable(
                "archive_too_large",
                f"Unpacked, this archive would take {promised / 1024**3:,.1f} GB; at most"
                f" {MOST_PICTURES_BYTES // 1024**3} GB are read. Split it, or shrink the pictures.",
            )
        for number, info in enumerate(infos, 1):
            if not info.is_dir():
                name = info.filename.replace("\\", "/")
                parts = tuple(part for part in name.split("/") if part not in ("", "."))
                yield Entry(number, name, parts or (name,), info)

    def read(self, entry: Entry, most_bytes: int = MOST_PICTURE_BYTES) -> bytes:
        """The entry's bytes. Raises Refused with the reason, or Unreadable for a zip bomb that
        lied about its size."""
        info = entry.info
        if ".." in entry.parts or entry.name.startswith("/") or entry.name[1:2] == ":":
            raise Refused("its name points outside the archive")
        if info.flag_bits & 1:
            raise Refused("it is protected by a password")
        if info.file_size > most_bytes:
            raise Refused(f"it is larger than {most_bytes // 1024**2} MB")
        if info.file_size > max(SMALL_BYTES, MOST_RATIO * info.compress_size):
            raise Refused("it unpacks to far more than a picture would, as zip bombs do")
        content = self._bytes(info, most_bytes)
        self._left -= len(content)
        if self._left < 0:
            raise Unreadable("archive_too_large", "This archive unpacks to more than it promised.")
        return content

    def _bytes(self, info: zipfile.ZipInfo, most_bytes: int) -> bytes:
        try:
            with self._zip.open(info) as file:
                content = file.read(most_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
            raise Refused("it is damaged inside the archive") from error
        except (NotImplementedError, RuntimeError) as error:
            raise Refused("it is packed in a way that cannot be read") from error
        if len(content) > most_bytes:
            raise Refused(f"it is larger than {most_bytes // 1024**2} MB")
        return content
