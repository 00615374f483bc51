"""Files and folders in Django's default storage: a local disk or S3, the same code for both.

A folder is complete when its manifest.json exists: it is written last and deleted first. Next to
it lies contents.json, with every file's size and SHA-256, against which a fetch is verified.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from engine.artifact import hash_file

MANIFEST_FILE = "manifest.json"
CONTENTS_FILE = "contents.json"
CHUNK_BYTES = 1024 * 1024
MAX_CACHED_BYTES = 20 * 1024**3


class FileDigest(TypedDict):
    bytes: int
    sha256: str


class IncompleteFolder(Exception):
    """The folder was never finished, or a file of it is missing or damaged."""


def put_file(key: str, path: str | os.PathLike[str]) -> None:
    """Store the file at `path` under `key`, replacing what was there."""
    with open(path, "rb") as source:
        default_storage.save(key, File(source, name=key))


def open_file(key: str) -> BinaryIO:
    """The stored bytes, to read as a stream. The caller closes it."""
    return cast(BinaryIO, default_storage.open(key, "rb"))


def fetch_file(key: str, path: str | os.PathLike[str]) -> None:
    """Copy a stored file to `path`; the path appears only once it is whole."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_sibling(target) as partial:
        with open_file(key) as source, open(partial, "wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK_BYTES)
        os.replace(partial, target)


@contextlib.contextmanager
def local_file(key: str) -> Iterator[Path]:
    """A local path of the stored bytes, for libraries that read by path; not to be written to.

    On a disk it is the file itself. Other storages' files are fetched once and kept in a folder of
    limited size, the least recently used ones deleted first. Raises FileNotFoundError.
    """
    with contextlib.suppress(NotImplementedError):
        yield Path(default_storage.path(key))
        return
    folder = Path(settings.VAR_DIR) / "cache" / "files"
    cached = folder / hashlib.sha256(key.encode()).hexdigest()
    if not cached.exists():
        fetch_file(key, cached)
        _shrink_folder(folder, cached)
    with contextlib.suppress(FileNotFoundError):
        os.utime(cached)
    yield cached


def _shrink_folder(folder: Path, newest: Path) -> None:
    """Delete the least recently used files until the folder is within MAX_CACHED_BYTES."""
    files = sorted(
        (path.stat().st_atime, path.stat().st_size, path)
        for path in folder.iterdir()
        if path != newest and not path.name.startswith(".")
    )
    excess = sum(size for _, size, _ in files) + newest.stat().st_size - MAX_CACHED_BYTES
    for _, size, path in files:
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size


def exists(key: str) -> bool:
    """Whether a file is stored under exactly this key."""
    return default_storage.exists(key)


def put_folder(key: str, folder: str | os.PathLike[str]) -> None:
    """Store a folder that has a manifest.json; the manifest goes last and makes it complete."""
    key, root = key.rstrip("/"), Path(folder)
    if not (root / MANIFEST_FILE).is_file():
        raise FileNotFoundError(f"{root} has no {MANIFEST_FILE}")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    names = [name for name in names if name not in (MANIFEST_FILE, CONTENTS_FILE)]
    files = [*names, MANIFEST_FILE]
    contents = {name: hash_file(root / name).model_dump() for name in files}
    for name in names:
        put_file(f"{key}/{name}", root / name)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listing:
        json.dump(contents, listing)
        listing.flush()
        put_file(f"{key}/{CONTENTS_FILE}", listing.name)
    put_file(f"{key}/{MANIFEST_FILE}", root / MANIFEST_FILE)


def fetch_folder(
    key: str,
    folder: str | os.PathLike[str],
    is_wanted: Callable[[str], bool] = lambda name: True,
) -> None:
    """Copy a complete stored folder to `folder`, verified, all at once or not at all; of its files
    only those that are wanted, and its manifest.

    Raises IncompleteFolder. A local folder that already has its manifest is left as it is.
    """
    target = Path(folder)
    if (target / MANIFEST_FILE).is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, digest in _load_contents(key.rstrip("/")).items():
            if name == MANIFEST_FILE or is_wanted(name):
                _fetch_verified(f"{key.rstrip('/')}/{name}", building / name, digest)
        _move_into_place(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def delete(key_prefix: str) -> None:
    """Delete the file of this key, or everything in the folder of this key. Absent is fine."""
    prefix = key_prefix.rstrip("/")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        default_storage.delete(f"{prefix}/{MANIFEST_FILE}")
    for key in sorted(_iter_keys(prefix), reverse=True):
        with contextlib.suppress(FileNotFoundError):
            default_storage.delete(key)
    with contextlib.suppress(OSError):
        default_storage.delete(prefix)


def list_folders(prefix: str) -> list[str]:
    """The names of the folders directly below a prefix."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return default_storage.listdir(prefix.rstrip("/"))[0]
    return []


def iter_files() -> Iterator[str]:
    """The key of every stored file; those stored or deleted meanwhile may or may not be there."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            below, files = default_storage.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        folders += [f"{folder}{name}/" for name in below if name]
        yield from (f"{folder}{name}" for name in files if name)


def last_modified(key_prefix: str) -> datetime | None:
    """When a file of this folder was last written; None for a folder without files."""
    moments = []
    for key in _iter_keys(key_prefix.rstrip("/")):
        try:
            moments.append(default_storage.get_modified_time(key))
        except Exception:  # Each kind of storage has its own for a file that is gone by now.
            if default_storage.exists(key):
                raise
    return max(moments, default=None)


def _load_contents(key: str) -> dict[str, FileDigest]:
    if not exists(f"{key}/{MANIFEST_FILE}") or not exists(f"{key}/{CONTENTS_FILE}"):
        raise IncompleteFolder(f"{key} has no {MANIFEST_FILE}")
    with open_file(f"{key}/{CONTENTS_FILE}") as source:
        return cast(dict[str, FileDigest], json.load(source))


def _fetch_verified(key: str, path: Path, digest: FileDigest) -> None:
    try:
        fetch_file(key, path)
    except FileNotFoundError as absent:
        raise IncompleteFolder(f"{key} is missing") from absent
    if hash_file(path).model_dump() != digest:
        raise IncompleteFolder(f"{key} is damaged")


def _move_into_place(building: Path, target: Path) -> None:
    """Rename into place. When another process was faster, its folder is as good as ours."""
    os.chmod(building, 0o755)
    if target.is_dir() and not (target / MANIFEST_FILE).exists():
        shutil.rmtree(target)
    try:
        os.rename(building, target)
    except OSError:
        if not (target / MANIFEST_FILE).is_file():
            raise


def _iter_keys(prefix: str) -> Iterator[str]:
    """Every file key below a folder, then the folders themselves (a disk keeps empty ones)."""
    try:
        folders, files = default_storage.listdir(prefix)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in files:
        yield f"{prefix}/{name}"
    for name in folders:
        yield from _iter_keys(f"{prefix}/{name}")
        yield f"{prefix}/{name}"


@contextlib.contextmanager
def _temporary_sibling(target: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
