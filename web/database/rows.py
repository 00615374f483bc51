"""Rows of models from statements of our own.

For the few reads that every request of a busy door makes: Django builds a statement anew each time,
which costs several times what PostgreSQL needs to carry it out.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model

Row = TypeVar("Row", bound=Model)


class Columns(Generic[Row]):
    """The columns of a model, as a statement names them, and the row that they make."""

    def __init__(self, model: type[Row], alias: str, *, without: Sequence[str] = ()) -> None:
        fields = [field for field in model._meta.concrete_fields if field.name not in without]
        self.sql = ", ".join(f'{alias}."{field.column}"' for field in fields)
        self._model, self._names = model, [field.attname for field in fields]
        self._readers = [
            (place, field.from_db_value)
            for place, field in enumerate(fields)
            if hasattr(field, "from_db_value")
        ]

    def __len__(self) -> int:
        return len(self._names)

    def read(self, values: Sequence[Any]) -> Row:
        """The row of as many values; columns that are left out are fetched when they are used."""
        read = list(values)
        for place, reader in self._readers:
            read[place] = reader(read[place], None, connection)
        return self._model.from_db(connection.alias, self._names, read)


def fetch(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
