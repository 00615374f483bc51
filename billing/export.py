"""A month's usage as CSV that a spreadsheet opens without executing anything in it."""

import csv
import io
from collections.abc import Callable, Iterator

from billing.usage import Cause, RunUse, Statement

COLUMNS = [
    "kind", "source", "attempt", "started_at", "ended_at", "end_reason", "device_seconds",
    "tokens", "requests", "charged_usd", "refunded_usd", "net_usd", "note", "name",
]  # fmt: skip
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def dollars(micro: int) -> str:
    """Exact dollars for a cell: -140000 → "-0.140000"."""
    whole, rest = divmod(abs(micro), 1_000_000)
    return f"{'-' if micro < 0 else ''}{whole}.{rest:06d}"


def statement_csv(statement: Statement, by: str = "attempt") -> str:
    """The month as rows per "day", "job", "attempt" or "token", ending in the total."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns, rows = SHAPES[by]
    writer.writerow(columns)
    writer.writerows(rows(statement))
    return out.getvalue()


def _by_day(statement: Statement) -> Iterator[list[str]]:
    for day in statement.days:
        yield [day.on.isoformat(), dollars(day.amount_micro)]
    yield ["total", dollars(statement.total_micro)]


def _by_job(statement: Statement) -> Iterator[list[str]]:
    for cause in statement.causes:
        amounts = [cause.charged_micro, cause.refunded_micro, cause.net_micro]
        counts = [f"{cause.device_ms / 1000:.3f}", str(cause.units), str(cause.requests)]
        yield [
            cause.family,
            harmless(cause.source),
            *counts,
            *map(dollars, amounts),
            "",
            harmless(cause.name),
        ]
    for line in statement.others:
        yield [line.kind, *[""] * 6, dollars(line.amount_micro), harmless(line.note), ""]
    yield ["total", *[""] * 6, dollars(statement.total_micro), "", ""]


def _by_token(statement: Statement) -> Iterator[list[str]]:
    for use in statement.tokens:
        name = harmless(use.prefix) or "playground"
        yield [name, str(use.units), str(use.requests), dollars(use.amount_micro)]
    total = sum(use.amount_micro for use in statement.tokens)
    yield ["total", "", "", dollars(total)]


def _by_attempt(statement: Statement) -> Iterator[list[str]]:
    for cause in statement.causes:
        yield from _rows_of(cause)
    for line in statement.others:
        amounts = [dollars(line.amount_micro), dollars(0), dollars(line.amount_micro)]
        yield [line.kind, *[""] * 8, *amounts, harmless(line.note), ""]
    yield ["total", *[""] * 10, dollars(statement.total_micro), "", ""]
    for use in statement.credit.lines:
        when = use.at.isoformat() if use.at else ""
        words = f"{use.what}: {use.note}"
        yield ["credit", "", "", when, *[""] * 7, dollars(use.amount_micro), harmless(words), ""]


def _rows_of(cause: Cause) -> Iterator[list[str]]:
    """The attempts, and one row for whatever of the cause no attempt explains (all inference)."""
    for use in cause.attempts:
        yield _attempt(cause, use)
    charged = cause.charged_micro - sum(use.charged_micro for use in cause.attempts)
    refunded = cause.refunded_micro - sum(use.refunded_micro for use in cause.attempts)
    if charged or refunded or cause.requests:
        amounts = [dollars(charged), dollars(refunded), dollars(charged - refunded)]
        counts = [str(cause.units), str(cause.requests)]
        name = harmless(cause.name)
        yield [cause.family, harmless(cause.source), *[""] * 5, *counts, *amounts, "", name]


def _attempt(cause: Cause, use: RunUse) -> list[str]:
    run = use.run
    return [
        cause.family,
        harmless(cause.source),
        str(run.fence) if run else "",
        run.started_at.isoformat() if run else "",
        run.ended_at.isoformat() if run and run.ended_at else "",
        run.end_reason if run else "",
        f"{use.device_ms / 1000:.3f}",
        "",
        "",
        dollars(use.charged_micro),
        dollars(use.refunded_micro),
        dollars(use.net_micro),
        harmless("; ".join(use.notes)),
        harmless(cause.name),
    ]


SHAPES: dict[str, tuple[list[str], Callable[[Statement], Iterator[list[str]]]]] = {
    "attempt": (COLUMNS, _by_attempt),
    "job": (
        ["kind", "source", "device_seconds", "tokens", "requests", "charged_usd", "refunded_usd",
         "net_usd", "note", "name"],
        _by_job,
    ),
    "day": (["day", "net_usd"], _by_day),
    "token": (["api_token", "tokens", "requests", "net_usd"], _by_token),
}  # fmt: skip
