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
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files import File
from django.core.files.storage import default_storage

MANIFEST = "manifest.json"
CONTENTS = "contents.json"
CHUNK_BYTES = 1024 * 1024


class FolderIncomplete(Exception):
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


def exists(key: str) -> bool:
    """Whether a file is stored under exactly this key."""
    return default_storage.exists(key)


def put_folder(key: str, folder: str | os.PathLike[str]) -> None:
    """Store a folder that has a manifest.json; the manifest goes last and makes it complete."""
    root = Path(folder)
    if not (root / MANIFEST).is_file():
        raise FileNotFoundError(f"{root} has no {MANIFEST}")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    names = [name for name in names if name not in (MANIFEST, CONTENTS)]
    contents = {name: _facts(root / name) for name in [*names, MANIFEST]}
    for name in names:
        put_file(f"{_trimmed(key)}/{name}", root / name)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listing:
        json.dump(contents, listing)
        listing.flush()
        put_file(f"{_trimmed(key)}/{CONTENTS}", listing.name)
    put_file(f"{_trimmed(key)}/{MANIFEST}", root / MANIFEST)


def fetch_folder(key: str, folder: str | os.PathLike[str]) -> None:
    """Copy a complete stored folder to `folder`, verified, all at once or not at all.

    Raises FolderIncomplete. A local folder that already has its manifest is left as it is.
    """
    target = Path(folder)
    if (target / MANIFEST).is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, facts in _contents_of(_trimmed(key)).items():
            _fetch_verified(f"{_trimmed(key)}/{name}", building / name, facts)
        _publish(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def delete(key_prefix: str) -> None:
    """Delete the file of this key, or everything in the folder of this key. Absent is fine."""
    prefix = _trimmed(key_prefix)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        default_storage.delete(f"{prefix}/{MANIFEST}")
    for key in sorted(_keys_below(prefix), reverse=True):
        with contextlib.suppress(FileNotFoundError):
            default_storage.delete(key)
    with contextlib.suppress(OSError):
        default_storage.delete(prefix)


def folders_in(prefix: str) -> list[str]:
    """The names of the folders directly below a prefix."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return default_storage.listdir(_trimmed(prefix))[0]
    return []


def newest_change(key_prefix: str) -> datetime | None:
    """When a file of this folder was last written; None for a folder without files."""
    moments = []
    for key in _keys_below(_trimmed(key_prefix)):
        with contextlib.suppress(OSError):  # Deleted meanwhile.
            moments.append(default_storage.get_modified_time(key))
    return max(moments, default=None)


def _contents_of(key: str) -> dict[str, dict[str, int | str]]:
    if not exists(f"{key}/{MANIFEST}") or not exists(f"{key}/{CONTENTS}"):
        raise FolderIncomplete(f"{key} has no {MANIFEST}")
    with open_file(f"{key}/{CONTENTS}") as source:
        return cast(dict[str, dict[str, int | str]], json.load(source))


def _fetch_verified(key: str, path: Path, facts: dict[str, int | str]) -> None:
    try:
        fetch_file(key, path)
    except FileNotFoundError as absent:
        raise FolderIncomplete(f"{key} is missing") from absent
    if _facts(path) != facts:
        raise FolderIncomplete(f"{key} is damaged")


def _publish(building: Path, target: Path) -> None:
    """Rename into place. When another process was faster, its folder is as good as ours."""
    os.chmod(building, 0o755)
    if target.is_dir() and not (target / MANIFEST).exists():
        shutil.rmtree(target)
    try:
        os.rename(building, target)
    except OSError:
        if not (target / MANIFEST).is_file():
            raise


def _facts(path: Path) -> dict[str, int | str]:
    with open(path, "rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _keys_below(prefix: str) -> Iterator[str]:
    """Every file key below a folder, then the folders themselves (a disk keeps empty ones)."""
    try:
        folders, files = default_storage.listdir(prefix)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in files:
        yield f"{prefix}/{name}"
    for name in folders:
        yield from _keys_below(f"{prefix}/{name}")
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


def _trimmed(key: str) -> str:
    return key.rstrip("/")
