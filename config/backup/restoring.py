"""`manage.py restore`: an empty installation becomes the copy of a saved one."""

from pathlib import Path

from django.db.migrations.loader import MigrationLoader

from config.backup import objects, postgres, secrets
from config.backup.errors import BackupError
from config.backup.manifest import DUMP_FILE, OBJECTS_FOLDER, Manifest, load_verified


def restore(database_url: str, folder: Path) -> Manifest:
    """Files first, the database last and all at once: until then the installation is empty, and an
    interrupted restore may simply be run again. Raises BackupError before anything is changed when
    the backup is not whole, is newer than this code, or the installation is not empty.
    """
    manifest = load_verified(folder)
    _require_known_migrations(manifest)
    postgres.require_empty(database_url)
    objects.require_room(manifest.objects)
    secrets.take_over_secret_key(folder, manifest)
    objects.put_back(folder / OBJECTS_FOLDER, manifest.objects)
    postgres.restore(database_url, folder / DUMP_FILE, manifest.rows)
    return manifest


def _require_known_migrations(manifest: Manifest) -> None:
    """Older backups are migrated after the restore; newer ones cannot be read by this code."""
    loader = MigrationLoader(None)
    known = {f"{app}.{name}" for app, name in loader.disk_migrations}
    known |= {
        f"{app}.{name}"
        for migration in loader.disk_migrations.values()
        for app, name in migration.replaces
    }
    if unknown := [name for name in manifest.migrations if name not in known]:
        raise BackupError(
            f"The backup was made by a newer Lathe ({manifest.lathe}; {unknown[0]} is not known "
            "here). Install that version first."
        )
