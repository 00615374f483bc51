"""What a backup holds, and the check that it still holds it."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ValidationError

from config.backup.errors import BackupError

MANIFEST_FILE, DUMP_FILE, SECRETS_FILE = "manifest.json", "database.dump", "secrets.env"
OBJECTS_FOLDER = "objects"
CHUNK_BYTES = 1024 * 1024


class FileFacts(BaseModel):
    """One file: bytes, and their SHA-256 in hexadecimal."""

    size: int
    sha256: str


class Manifest(BaseModel):
    """Everything that must be found again."""

    format: Literal[1] = 1
    lathe: str  # The version that wrote it.
    created_at: datetime
    migrations: list[str]  # app.name, all that were applied.
    rows: dict[str, int]  # By table, at the moment of the dump.
    dump: FileFacts
    objects: dict[str, FileFacts]  # By key.
    secret_key_fingerprint: str
    secrets: list[str]  # Names of the settings that are secrets and were set.
    secrets_copied: FileFacts | None = None


def copy_and_digest(source: BinaryIO, sink: BinaryIO) -> FileFacts:
    """Copy a stream, and say what went through."""
    sha256, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        sink.write(chunk)
        sha256.update(chunk)
        size += len(chunk)
    return FileFacts(size=size, sha256=sha256.hexdigest())


def digest(path: Path) -> FileFacts:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(size=path.stat().st_size, sha256=sha256)


def load_verified(folder: Path) -> Manifest:
    """The manifest of a whole backup. Raises BackupError for half and for damaged ones."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except FileNotFoundError:
        raise BackupError(
            f"{folder} is no whole backup: it has no {MANIFEST_FILE}, which is written last. "
            "Name the folder that `manage.py backup` printed."
        ) from None
    except ValidationError as error:
        raise BackupError(
            f"{folder / MANIFEST_FILE} cannot be read: {error.errors()[0]['msg']}."
        ) from None
    expected = {DUMP_FILE: manifest.dump} | {
        f"{OBJECTS_FOLDER}/{key}": facts for key, facts in manifest.objects.items()
    }
    if manifest.secrets_copied:
        expected[SECRETS_FILE] = manifest.secrets_copied
    for name, facts in expected.items():
        path = folder / name
        if not path.is_file():
            raise BackupError(f"The backup is not whole: {path} is missing.")
        if digest(path) != facts:
            raise BackupError(f"The backup is damaged: {path} is not what was saved.")
    return manifest
