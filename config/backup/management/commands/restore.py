"""`manage.py restore FOLDER`: see docs/operating.md."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup.database import running_database
from config.backup.errors import BackupError
from config.backup.restoring import restore


class Command(BaseCommand):
    help = "Make this empty installation the copy of the one that was saved in FOLDER."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="what `manage.py backup` printed")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            with running_database() as url:
                manifest = restore(url, folder.absolute())
        except BackupError as error:
            raise CommandError(str(error)) from error
        rows = sum(manifest.rows.values())
        self.stdout.write(
            f"Restored what was saved at {manifest.created_at:%Y-%m-%d %H:%M} UTC: {rows} rows, "
            f"{len(manifest.objects)} files. `manage.py migrate` or `make up` brings it up to date."
        )
