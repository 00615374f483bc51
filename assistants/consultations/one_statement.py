"""Several writes as one statement: a round trip and a parse cost more than the rows themselves."""

from typing import Any

from django.db import connection
from django.db.models import Field, Model
from django.db.models.expressions import DatabaseDefault

from web.database.rows import fetch
from web.sse import POSTGRES_CHANNEL

NOTICES = "(SELECT count(pg_notify(%s, channel)) FROM unnest(%s::text[]) channel)"


class Writes:
    """PostgreSQL carries out all of them or none. None sees what another one wrote, but each may
    use what a former one returns, by its name and as an expression of SQL."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._values: list[Any] = []

    def insert(
        self, name: str, row: Model, *, after: str = "", once: str = "", **expressions: str
    ) -> None:
        """`row` is unsaved; `expressions` say columns in SQL. It is written once for each row of
        `after`, and not at all where `once`, a clause of ON CONFLICT, finds that it was."""
        columns, places = [], []
        for field in row._meta.local_concrete_fields:
            assert field.column is not None
            place = expressions.get(field.column, "%s")
            if place == "%s":
                value = field.pre_save(row, True)
                if (field.primary_key and value is None) or isinstance(value, DatabaseDefault):
                    continue
                self._values.append(field.get_db_prep_save(value, connection))
            columns.append(f'"{field.column}"')
            places.append(place)
        source = f" FROM {after}" if after else ""
        self._parts.append(
            f'{name} AS (INSERT INTO "{row._meta.db_table}" ({", ".join(columns)})'
            f" SELECT {', '.join(places)}{source} {once} RETURNING *)"
        )

    def update(self, name: str, row: Model, changes: dict[str, object], *, after: str = "") -> None:
        """Columns of this row, keys by the names of theirs; only if `after` wrote something."""
        assignments = []
        for attribute, value in changes.items():
            field = row._meta.get_field(attribute)
            assert isinstance(field, Field)
            assignments.append(f'"{field.column}" = %s')
            self._values.append(field.get_db_prep_save(value, connection))
        self._values.append(row.pk)
        condition = f" AND EXISTS (SELECT FROM {after})" if after else ""
        self._parts.append(
            f'{name} AS (UPDATE "{row._meta.db_table}" SET {", ".join(assignments)}'
            f" WHERE id = %s{condition} RETURNING id)"
        )

    def run(self, selection: str, *, notified: list[str]) -> tuple[Any, ...] | None:
        """The row of this SELECT, behind which a column is added: so pages hear of it, at commit.
        None, and no page does, where it finds nothing."""
        columns, _, source = selection.partition(" FROM ")
        rows = fetch(
            f"WITH {', '.join(self._parts)} {columns}, {NOTICES} FROM {source}",
            [*self._values, POSTGRES_CHANNEL, notified],
        )
        return rows[0] if rows else None
