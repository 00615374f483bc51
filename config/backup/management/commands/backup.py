"""`manage.py backup [FOLDER]`: see docs/operating.md."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup.database import running_database
from config.backup.errors import BackupError
from config.backup.saving import save
from config.backup.secrets import read_secrets


class Command(BaseCommand):
    help = "Save the database and the stored files in a new folder below FOLDER. Lathe may run."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        usual = Path(settings.VAR_DIR) / "backups"
        parser.add_argument(
            "folder", nargs="?", type=Path, default=usual, help=f"{usual} unless set"
        )
        parser.add_argument(
            "--with-secrets", action="store_true", help="also copy the settings that are secrets"
        )

    def handle(self, *args: Any, folder: Path, with_secrets: bool, **options: Any) -> None:
        try:
            with running_database() as url:
                made = save(url, folder.absolute(), with_secrets=with_secrets)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(made))
        if not with_secrets:
            names = ", ".join(sorted(read_secrets()))
            self.stderr.write(
                f"Not in it, keep them elsewhere (or give --with-secrets): the values of {names}."
            )
