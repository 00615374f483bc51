"""Whether a process can do its work: the database answers and has all migrations of this code."""

from collections.abc import Callable
from pathlib import Path

from django.apps import apps
from django.db import Error, connection
from django.db.migrations.recorder import MigrationRecorder

from web.database.pool import is_exhausted

# What apps tell beside the checks at the web process's /readyz, by name; it decides nothing.
reports: dict[str, Callable[[], object]] = {}
_migrated: set[str] = set()  # Aliases whose migrations were found applied: they stay so.


def check_readiness() -> dict[str, str]:
    """What was checked, and "ok" or what is wrong with it. One query; two until all is migrated."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = _missing_migrations()
    except Error as error:
        # Who is only busy would be busier if its neighbours were sent all that it is asked.
        return {"database": "ok" if is_exhausted(error) else "does not answer"}
    if missing:
        return {"database": "ok", "migrations": f"{len(missing)} missing, the first {missing[0]}"}
    return {"database": "ok", "migrations": "ok"}


def is_ready(checks: dict[str, str]) -> bool:
    return set(checks.values()) == {"ok"}


def _missing_migrations() -> list[str]:
    """By the names of the files: to import every migration costs a new process half a second."""
    if connection.alias in _migrated:
        return []
    applied = set(MigrationRecorder(connection).applied_migrations())
    missing = sorted(
        f"{config.label}.{path.stem}"
        for config in apps.get_app_configs()
        for path in Path(config.path, "migrations").glob("[0-9]*.py")
        if (config.label, path.stem) not in applied
    )
    if not missing:
        _migrated.add(connection.alias)
    return missing
