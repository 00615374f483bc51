"""A month's usage as CSV, in which no cell is a formula for a spreadsheet."""

import csv
import io
from collections.abc import Callable, Iterator

from billing.money import plain_dollars
from billing.statements.sources import CostSource
from billing.statements.statement import Statement, UnitUsage
from web.spreadsheet_cells import escape_formula

COLUMNS = [
    "kind", "source", "attempt", "started_at", "ended_at", "end_reason", "device_seconds",
    "tokens", "requests", "charged_usd", "refunded_usd", "net_usd", "note", "name",
]  # fmt: skip


def statement_csv(statement: Statement, by: str = "attempt") -> str:
    """The month as CSV, with a row for each `by` and a last row with the total. `by` is a key of
    CSV_LAYOUTS: attempt, job, day, token, voice or answer."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns, rows = CSV_LAYOUTS[by]
    writer.writerow(columns)
    writer.writerows(rows(statement))
    return out.getvalue()


def _by_day(statement: Statement) -> Iterator[list[str]]:
    for day in statement.days:
        yield [day.on.isoformat(), plain_dollars(day.amount_micro)]
    yield ["total", plain_dollars(statement.total_micro)]


def _by_job(statement: Statement) -> Iterator[list[str]]:
    for source in statement.cost_sources:
        counts = [f"{source.device_ms / 1000:.3f}", str(source.units), str(source.requests)]
        amounts = map(
            plain_dollars, (source.charged_micro, source.refunded_micro, source.net_micro)
        )
        name = escape_formula(source.name)
        yield [source.family, escape_formula(source.source), *counts, *amounts, "", name]
    for entry in statement.others:
        amount = plain_dollars(entry.amount_micro)
        yield [entry.kind, *[""] * 6, amount, escape_formula(entry.note), ""]
    yield ["total", *[""] * 6, plain_dollars(statement.total_micro), "", ""]


def _by_token(statement: Statement) -> Iterator[list[str]]:
    for token in statement.tokens:
        name = escape_formula(token.prefix) or "playground"
        yield [name, str(token.units), str(token.requests), plain_dollars(token.amount_micro)]
    total = sum(token.amount_micro for token in statement.tokens)
    yield ["total", "", "", plain_dollars(total)]


def _by_units(used: list[UnitUsage]) -> Iterator[list[str]]:
    for use in used:
        counts = [use.sku, str(use.units), str(use.requests), plain_dollars(use.amount_micro)]
        yield [escape_formula(use.by.source), *counts, escape_formula(use.by.name)]
    total = sum(use.amount_micro for use in used)
    yield ["total", "", "", "", plain_dollars(total), ""]


def _by_attempt(statement: Statement) -> Iterator[list[str]]:
    for source in statement.cost_sources:
        yield from _attempt_rows(source)
    for entry in statement.others:
        amount = plain_dollars(entry.amount_micro)
        note = escape_formula(entry.note)
        yield [entry.kind, *[""] * 8, amount, plain_dollars(0), amount, note, ""]
    yield ["total", *[""] * 10, plain_dollars(statement.total_micro), "", ""]
    for line in statement.credit.lines:
        started = line.at.isoformat() if line.at else ""
        note = escape_formula(f"{line.what}: {line.note}")
        yield ["credit", "", "", started, *[""] * 7, plain_dollars(line.amount_micro), note, ""]


def _attempt_rows(source: CostSource) -> Iterator[list[str]]:
    """A row for each attempt, and one for costs of the source without an attempt, such as all
    inference."""
    for attempt in source.attempts:
        run = attempt.run
        yield [
            source.family,
            escape_formula(source.source),
            str(run.fence) if run else "",
            run.started_at.isoformat() if run else "",
            run.ended_at.isoformat() if run and run.ended_at else "",
            run.end_reason if run else "",
            f"{attempt.device_ms / 1000:.3f}",
            "",
            "",
            plain_dollars(attempt.charged_micro),
            plain_dollars(attempt.refunded_micro),
            plain_dollars(attempt.net_micro),
            escape_formula("; ".join(attempt.notes)),
            escape_formula(source.name),
        ]
    charged = source.charged_micro - sum(attempt.charged_micro for attempt in source.attempts)
    refunded = source.refunded_micro - sum(attempt.refunded_micro for attempt in source.attempts)
    if charged or refunded or source.requests:
        amounts = map(plain_dollars, (charged, refunded, charged - refunded))
        counts = [str(source.units), str(source.requests)]
        name = escape_formula(source.name)
        yield [source.family, escape_formula(source.source), *[""] * 5, *counts, *amounts, "", name]


UNIT_COLUMNS = ["source", "kind", "units", "requests", "net_usd", "name"]
CSV_LAYOUTS: dict[str, tuple[list[str], Callable[[Statement], Iterator[list[str]]]]] = {
    "attempt": (COLUMNS, _by_attempt),
    "job": (
        ["kind", "source", "device_seconds", "tokens", "requests", "charged_usd", "refunded_usd",
         "net_usd", "note", "name"],
        _by_job,
    ),
    "day": (["day", "net_usd"], _by_day),
    "token": (["api_token", "tokens", "requests", "net_usd"], _by_token),
    "voice": (UNIT_COLUMNS, lambda statement: _by_units(statement.voice)),
    "answer": (UNIT_COLUMNS, lambda statement: _by_units(statement.answers)),
}  # fmt: skip
CSV_TITLES = {
    "attempt": "Attempts",
    "job": "Items",
    "day": "Days",
    "token": "API tokens",
    "voice": "Speech",
    "answer": "Answers",
}
