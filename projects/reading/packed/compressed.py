"""One file compressed by gzip, bzip2, xz or Zstandard: unpacked to disk, bounded on the way."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from projects.reading.limits import (
    MAX_ARCHIVE_BYTES,
    MAX_TABLE_RATIO,
    MIN_TABLE_RATIO_CHECK_BYTES,
)
from projects.reading.refused_formats import COMPRESSED_SIGNATURES
from projects.reading.results import UnreadableFile

CHUNK_BYTES = 1024**2
SUFFIXES = {"gzip": (".gz",), "bzip2": (".bz2",), "xz": (".xz",), "Zstandard": (".zst", ".zstd")}
ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, pa.ArrowException)


def unpack_compressed(upload: Path, filename: str, target: Path) -> tuple[str, str]:
    """Write the file inside to `target`; returns its name and what it was compressed by.

    Raises UnreadableFile for a damaged file, and for one that unpacks to too much.
    """
    with open(upload, "rb") as file:
        start = file.read(8)
    method = next(name for mark, name in COMPRESSED_SIGNATURES if start.startswith(mark))
    try:
        with _OPENERS[method](upload) as packed:
            copy_bounded(packed, target, upload.stat().st_size)
    except ERRORS as error:
        raise UnreadableFile(
            "bad_archive",
            f"This {method} file is damaged or cut short. Make it again and upload it again.",
        ) from error
    if not target.stat().st_size:
        raise UnreadableFile("empty_file", f"The file inside this {method} file is empty.")
    return _inner_name(filename, method), method


def copy_bounded(packed: IO[bytes], target: Path, packed_bytes: int) -> int:
    """Copy what unpacks; returns its bytes. Raises UnreadableFile where it is far more than a table
    would be."""
    written = 0
    with open(target, "wb") as sink:
        while chunk := packed.read(CHUNK_BYTES):
            written += len(chunk)
            require_plausible_size(written, packed_bytes)
            sink.write(chunk)
    return written


def require_plausible_size(unpacked: int, packed: int) -> None:
    """Raises UnreadableFile for more bytes than one table may have, or than one could come of."""
    if unpacked > MAX_ARCHIVE_BYTES:
        raise UnreadableFile(
            "archive_too_large",
            f"Unpacked, this file takes more than {MAX_ARCHIVE_BYTES // 1024**3} GB. Split it.",
        )
    if unpacked > max(MIN_TABLE_RATIO_CHECK_BYTES, MAX_TABLE_RATIO * packed):
        raise UnreadableFile(
            "zip_bomb",
            "This file unpacks to far more than a table would, as zip bombs do. If it is a table,"
            " upload it unpacked.",
        )


def _inner_name(filename: str, method: str) -> str:
    """data.csv of data.csv.gz: its ending still says something about a file of text."""
    for suffix in SUFFIXES[method]:
        if filename.lower().endswith(suffix):
            return filename[: -len(suffix)]
    return filename


def _open_zstandard(path: Path) -> IO[bytes]:
    return cast(IO[bytes], pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))


_OPENERS = {
    "gzip": cast(Callable[[Path], IO[bytes]], gzip.open),
    "bzip2": cast(Callable[[Path], IO[bytes]], bz2.open),
    "xz": cast(Callable[[Path], IO[bytes]], lzma.open),
    "Zstandard": _open_zstandard,
}
