"""Reading a team's audit log: filters, plain words for actions, and a file of it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils.http import urlencode

from accounts.models import AuditEntry
from web.spreadsheet_cells import escape_formula

COLUMNS = ("at", "actor", "action", "target", "detail", "address")
ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class AuditFilter:
    """Empty fields leave everything."""

    text: str = ""  # In who, to what.
    action: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "AuditFilter":
        return cls(text=query.get("q", "").strip(), action=query.get("action", ""))

    def apply(self, entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        if self.text:
            entries = entries.filter(
                Q(actor__icontains=self.text)
                | Q(target__icontains=self.text)
                | Q(detail__name__icontains=self.text)
            )
        return entries.filter(action=self.action) if self.action else entries

    def as_query(self) -> str:
        chosen = {"q": self.text, "action": self.action}
        return urlencode({key: value for key, value in chosen.items() if value})


def csv_parts(entries: QuerySet[AuditEntry]) -> Iterator[bytes]:
    """A header, then a line for each entry, newest first; every part is one short query."""
    yield _lines([COLUMNS])
    newest_first = entries.order_by("-at", "-pk")
    rows = list(newest_first[:ROWS_AT_ONCE])
    while rows:
        yield _lines(
            [
                (
                    entry.at.isoformat(),
                    entry.actor,
                    entry.action,
                    entry.target,
                    json.dumps(entry.detail, ensure_ascii=False),
                    entry.address or "",
                )
                for entry in rows
            ]
        )
        last = rows[-1]
        older = Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk)
        rows = list(newest_first.filter(older)[:ROWS_AT_ONCE])


def _lines(rows: list[tuple[str, ...]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink).writerows([escape_formula(value) for value in row] for row in rows)
    return sink.getvalue().encode()
