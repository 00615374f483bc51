"""The installation's database, also while Lathe does not run."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from config.backup.errors import BackupError
from config.local import embedded
from config.local.embedded_paths import EmbeddedError


@contextmanager
def running_database() -> Iterator[str]:
    """Its URL. The server of `make up` is started when it does not run, and then ended again.

    Raises BackupError.
    """
    if settings.DATABASE_URL:
        yield settings.DATABASE_URL
        return
    try:
        urls = embedded.ensure_running(settings.VAR_DIR)
    except EmbeddedError as error:
        raise BackupError(str(error)) from error
    try:
        yield urls.database_url
    finally:
        embedded.stop(settings.VAR_DIR)
