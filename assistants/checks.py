"""What the database must offer."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connections


@register(Tags.database)
def check_vector_extension(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """An error where the server does not carry pgvector: migrations would fail half-way."""
    problems: list[CheckMessage] = []
    for alias in databases or []:
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
                is_there = cursor.fetchone() is not None
        except DatabaseError:
            continue  # Django itself says that the database is away.
        if not is_there:
            problems.append(
                Error(
                    "This PostgreSQL server does not carry the extension “vector”.",
                    hint="Install pgvector 0.7 or newer on the server, for example the package"
                    " postgresql-18-pgvector, and run the migrations again.",
                    id="assistants.E001",
                )
            )
    return problems
