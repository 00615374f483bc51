"""The database: dumped at one moment, and restored in one transaction, by PostgreSQL's programs."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.backup.errors import BackupError
from config.local.embedded_paths import EmbeddedError, find_postgres_programs

_TABLES = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'public' AND relkind IN ('r', 'p') ORDER BY relname
"""


class Snapshot:
    """The database as it is at one moment, whatever is written meanwhile."""

    def __init__(self, url: str, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._url, self._connection = url, connection
        exported = connection.execute("SELECT pg_export_snapshot()").fetchone()
        self._id = str(exported[0]) if exported else ""

    def dump(self, path: Path) -> None:
        _run("pg_dump", self._url, "--format=custom", f"--snapshot={self._id}", f"--file={path}")

    def count_rows(self) -> dict[str, int]:
        """By table, all of them."""
        return _count_rows(self._connection)

    def migrations(self) -> list[str]:
        """Those that were applied, as app.name."""
        try:
            rows = self._connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
        except psycopg.errors.UndefinedTable:
            raise BackupError("This database holds no Lathe: it was never migrated.") from None
        return [f"{app}.{name}" for app, name in rows]


@contextmanager
def open_snapshot(url: str) -> Iterator[Snapshot]:
    with _connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield Snapshot(url, connection)


def require_empty(url: str) -> None:
    """Raises BackupError when the database has a table."""
    with _connect(url) as connection:
        tables = connection.execute(_TABLES).fetchall()
    if tables:
        raise BackupError(
            f"The database is not empty ({len(tables)} tables), and a restore never overwrites. "
            "Restore into a new database (another DATABASE_URL), or, where Lathe runs PostgreSQL "
            "itself, into a new folder: end Lathe and move var/ away."
        )


def restore(url: str, dump: Path, rows: dict[str, int]) -> None:
    """Everything of the dump or nothing. Raises BackupError also when a row is missing."""
    _run(
        *("pg_restore", url, "--single-transaction", "--exit-on-error"),
        *("--no-owner", "--no-privileges", str(dump)),
    )
    with _connect(url) as connection:
        counts = _count_rows(connection)
    wrong = {table for table in rows | counts if rows.get(table) != counts.get(table)}
    if wrong:
        raise BackupError(f"Rows are missing after the restore, in {', '.join(sorted(wrong))}.")


def _count_rows(connection: "psycopg.Connection[tuple[object, ...]]") -> dict[str, int]:
    counts: dict[str, int] = {}
    for (table,) in connection.execute(_TABLES).fetchall():
        statement = sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(str(table)))
        row = connection.execute(statement).fetchone()
        counts[str(table)] = int(str(row[0])) if row else 0
    return counts


def _connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    try:
        return psycopg.connect(url, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise BackupError(f"The database does not answer: {error}") from None


def _run(program: str, url: str, *arguments: str) -> None:
    """The password goes through the environment: arguments are seen by everyone on the machine."""
    parts = urlsplit(url)
    login, _, address = parts.netloc.rpartition("@")
    public = parts._replace(netloc=f"{login.partition(':')[0]}@{address}" if login else address)
    environment = os.environ | {"PGPASSWORD": unquote(parts.password or "")}
    finished = subprocess.run(
        [_find_program(program), f"--dbname={urlunsplit(public)}", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise BackupError(f"{program} failed:\n{finished.stderr.strip()}")


def _find_program(name: str) -> str:
    """The wheel's, which is as new as any server we know; else the system's."""
    try:
        return str(find_postgres_programs() / name)
    except EmbeddedError:
        if path := shutil.which(name):
            return path
    raise BackupError(f"{name} is not here: install PostgreSQL's client programs.")
