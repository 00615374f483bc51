"""Test databases that are made and emptied quickly.

To migrate an empty database takes half a minute of a processor, to copy a migrated one a fraction
of a second. Its name holds a digest of all migrations, so a changed migration makes a new one.

To empty a database as Django does, by TRUNCATE of all tables, and to load again what migrations
wrote takes a second or more of a processor; most tests fill a few tables.
"""

import gc
import hashlib
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import django
import psycopg
from asgiref.sync import SyncToAsync
from django.apps import apps
from django.db import connection, connections
from psycopg import sql

PROJECT = Path(__file__).resolve().parent.parent
LOCK = 7_306_001  # Of these tests alone: workers that start together migrate once.


def ensure_migrated_database() -> str:
    """The name of the database to copy, on the server of DATABASE_URL; made if it is missing."""
    name = f"lathe_migrated_{_digest_of_migrations()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        found = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            unfinished = f"{name}_unfinished"
            drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(unfinished))
            create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished))
            server.execute(drop)
            server.execute(create)
            _migrate(unfinished)
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            server.execute(rename.format(sql.Identifier(unfinished), sql.Identifier(name)))
    return name


def migrate_in_background() -> None:
    """Begin with `ensure_migrated_database` in a process of its own: who needs the database waits
    for it, or finds it ready."""
    subprocess.Popen(
        [sys.executable, "-m", "tests.databases"],
        cwd=PROJECT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # What failed fails again, and is told, in who needs it.
    )


def _digest_of_migrations() -> str:
    digest = hashlib.sha256(django.__version__.encode())
    for app in sorted(apps.get_app_configs(), key=lambda config: config.label):
        for path in sorted(Path(app.path, "migrations").glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _migrate(database: str) -> None:
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"},
        check=True,
    )


# Triggers and foreign keys rest meanwhile: the ledger refuses every DELETE.
RESTORE_FIRST_ROWS = "SELECT first_rows.restore()"
_KEEP_FIRST_ROWS = """
CREATE SCHEMA first_rows;
DO $$
DECLARE
    name text;
    is_filled boolean;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('CREATE TABLE first_rows.%I AS TABLE public.%I', name, name);
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION first_rows.restore() RETURNS void
LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
    name text;
    is_filled boolean;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('DELETE FROM public.%I', name);
        END IF;
        IF to_regclass(format('first_rows.%I', name)) IS NOT NULL THEN
            EXECUTE format('INSERT INTO public.%I SELECT * FROM first_rows.%I', name, name);
        END IF;
    END LOOP;
END $$;
"""


def keep_first_rows() -> None:
    """Copy what migrations wrote aside, for RESTORE_FIRST_ROWS to put back.

    The role of the tests must be a superuser, as that of the embedded server is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_FIRST_ROWS)
    connection._test_serialized_contents = "[]"  # Else Django loads them a second time.


_OTHERS = """
SELECT pid, format('%s since %s: %s', state, backend_start, left(query, 200)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def close_connections_of_threads(seconds: float = 10) -> None:
    """So that the database can be dropped: a connection of a thread that ended stays open until
    its garbage is collected, one of asgiref's thread for ever, and one of a process that was
    killed until PostgreSQL has noticed. What is still open after `seconds` is ended, and told of.
    """
    gc.unfreeze()
    gc.collect()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
    deadline = time.monotonic() + seconds
    while (others := _other_sessions()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid, told in others:
        warnings.warn(f"A test left a connection open, {told}", stacklevel=1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


def _other_sessions() -> list[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS)
        return list(cursor.fetchall())
