"""`manage.py backup`: the database and the stored files, consistent with each other."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from config.backup import postgres, secrets
from config.backup.errors import BackupError
from config.backup.manifest import (
    DUMP_FILE,
    MANIFEST_FILE,
    OBJECTS_FOLDER,
    Manifest,
    digest,
)
from config.backup.objects import ObjectsCopy


def save(database_url: str, parent: Path, *, with_secrets: bool = False) -> Path:
    """Make `parent/lathe-<moment>`, which appears only once it is whole; Lathe may go on running.

    Raises BackupError.
    """
    now = datetime.now(UTC)
    folder = parent / f"lathe-{now:%Y%m%dT%H%M%SZ}"
    draft = folder.with_name(f"{folder.name}.unfinished")
    if folder.exists():
        raise BackupError(f"{folder} exists already.")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        _fill(draft, database_url, now, with_secrets)
        draft.rename(folder)
    except OSError as error:
        raise BackupError(f"The backup could not be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _fill(folder: Path, database_url: str, now: datetime, with_secrets: bool) -> None:
    objects = ObjectsCopy(folder / OBJECTS_FOLDER)
    objects.copy_new_files()
    with postgres.open_snapshot(database_url) as snapshot:
        migrations, rows = snapshot.migrations(), snapshot.count_rows()
        snapshot.dump(folder / DUMP_FILE)
    objects.copy_new_files()
    manifest = Manifest(
        lathe=settings.VERSION,
        created_at=now,
        migrations=migrations,
        rows=rows,
        dump=digest(folder / DUMP_FILE),
        objects=objects.files,
        secret_key_fingerprint=secrets.fingerprint(settings.SECRET_KEY),
        secrets=sorted(secrets.read_secrets()),
        secrets_copied=digest(secrets.write_secrets(folder)) if with_secrets else None,
    )
    os.sync()  # The manifest says that all else is on the disk.
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1))
