"""What a team used and owes for one month.

Charges come from the daily sums that the database keeps beside the ledger, everything else from
its entries, all in one snapshot: rows, days and total add up to the micro-dollar even while
heartbeats are being booked.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Q, Sum
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team
from billing.credit_account import CreditAccount, credit_account
from billing.day_sums import DaySums, day_sums
from billing.models import LedgerEntry, MeteredRun, UsageDay
from billing.months import Month
from billing.naming import name_causes
from billing.snapshot import snapshot

Kind = LedgerEntry.Kind
PAGES = {"training-job": "training:job", "deployment": "inference:deployment"}
CHARGES = (Kind.COMPUTE, Kind.INFERENCE)


@dataclass
class Amount:
    """Micro-USD charged and given back; both positive."""

    charged_micro: int = 0
    refunded_micro: int = 0

    @property
    def net_micro(self) -> int:
        return self.charged_micro - self.refunded_micro

    def add(self, micro: int, *, is_refund: bool) -> None:
        if is_refund:
            self.refunded_micro -= micro
        else:
            self.charged_micro += micro


@dataclass
class RunUse(Amount):
    """One attempt: a metered run and what it cost this month."""

    run: MeteredRun | None = None
    device_ms: int = 0
    notes: list[str] = field(default_factory=list)  # Why something was given back.


@dataclass
class Cause(Amount):
    """A job or deployment, named by its source string, and what it cost this month."""

    source: str = ""
    runs: dict[UUID, RunUse] = field(default_factory=dict)  # Filled by `add_attempts`.
    device_ms: int = 0
    units: int = 0
    requests: int = 0
    name: str = ""  # Filled by `billing.naming`.

    @cached_property
    def family(self) -> str:
        """ "training-job", "deployment" or whatever the source begins with."""
        return self.source.partition(":")[0]

    @cached_property
    def subject_id(self) -> UUID | None:
        try:
            return UUID(self.source.partition(":")[2])
        except ValueError:
            return None

    @cached_property
    def url(self) -> str:
        """Of the page of what caused it; "" for what has none."""
        page = PAGES.get(self.family)
        return reverse(page, args=[self.subject_id]) if page and self.subject_id else ""

    @property
    def label(self) -> str:
        """Its name; of what has none any more, the beginning of its id."""
        if self.name:
            return self.name
        words = {"training-job": "Fine-tune", "deployment": "Endpoint"}
        name = words.get(self.family, self.family)
        return f"{name} {str(self.subject_id)[:8]}" if self.subject_id else self.source

    @property
    def attempts(self) -> list[RunUse]:
        """In the order they began."""
        return sorted(
            self.runs.values(), key=lambda use: (use.run is None, use.run and use.run.fence)
        )


@dataclass(frozen=True)
class OtherLine:
    """An adjustment, or a refund that no job or deployment caused."""

    kind: str
    note: str
    amount_micro: int
    at: datetime


@dataclass(frozen=True)
class Day:
    on: date
    amount_micro: int


@dataclass(frozen=True)
class TokenUse:
    """What one API token asked of deployments; the prefix is "" for the playground."""

    prefix: str
    units: int
    requests: int
    amount_micro: int


@dataclass(frozen=True)
class Statement:
    """One team's month. `total_micro` is what its usage cost: the sum of all rows."""

    team: Team
    month: Month
    as_of: datetime
    causes: list[Cause]
    others: list[OtherLine]
    days: list[Day]
    tokens: list[TokenUse]
    credit: CreditAccount

    @property
    def total_micro(self) -> int:
        return sum(day.amount_micro for day in self.days)

    @property
    def covered_micro(self) -> int:
        """What credit took off; zero or negative."""
        return -self.credit.used_micro

    @property
    def due_micro(self) -> int:
        """What credit did not cover."""
        return self.total_micro + self.covered_micro

    @property
    def jobs(self) -> list[Cause]:
        return [cause for cause in self.causes if cause.family != "deployment"]

    @property
    def deployments(self) -> list[Cause]:
        return [cause for cause in self.causes if cause.family == "deployment"]

    @property
    def charged_micro(self) -> int:
        return sum(cause.charged_micro for cause in self.causes)

    @property
    def refunded_micro(self) -> int:
        return sum(cause.refunded_micro for cause in self.causes)

    @property
    def device_ms(self) -> int:
        return sum(cause.device_ms for cause in self.causes)


def month_total(team: Team, month: Month) -> int:
    """Micro-USD that the month's usage cost so far."""
    charged: int = charges(team, month).aggregate(total=Sum("amount_micro"))["total"] or 0
    total: int = charged + _entries(team, month).of_usage().total_micro()
    return total


def statement_of(team: Team, month: Month, *, with_attempts: bool = True) -> Statement:
    """The month's usage and what is owed for it, as of now; jobs by attempt unless told not to."""
    with snapshot():
        rows = list(_entries(team, month).of_usage())
        sums = day_sums(team, month)
        causes = _causes(sums)
        others = [_other(row) for row in rows if not _refund_of_cause(row, causes)]
        statement = Statement(
            team=team,
            month=month,
            as_of=now(),
            causes=sorted(causes.values(), key=lambda cause: (-cause.net_micro, cause.source)),
            others=others,
            days=_days(month, sums, rows),
            tokens=_tokens(sums),
            credit=credit_account(team, month),
        )
        if with_attempts:
            add_attempts(statement, statement.causes)
            name_causes(statement.causes)
    return statement


def add_attempts(statement: Statement, causes: list[Cause]) -> None:
    """Fill in what each attempt of these causes used; free ones are listed too."""
    named = {cause.source: cause for cause in causes}
    mine = charges(statement.team, statement.month).filter(run__isnull=False)
    mine = mine.filter(source__in=named) if len(named) < len(statement.causes) else mine
    timed = mine.values_list("source", "run_id").order_by()
    for source, run_id, device_ms, micro in timed.annotate(
        ms=Sum("device_ms"), a=Sum("amount_micro")
    ):
        if source in named:
            use = named[source].runs.setdefault(run_id, RunUse())
            use.device_ms, use.charged_micro = device_ms, micro
    uses = {run_id: use for cause in causes for run_id, use in cause.runs.items()}
    for run in MeteredRun.objects.filter(pk__in=uses).select_related("rate"):
        uses[run.pk].run = run


def charges(team: Team, month: Month) -> Any:
    """The daily sums of a month."""
    return UsageDay.objects.filter(team=team, day__gte=month.start.date(), day__lt=month.end.date())


def _entries(team: Team, month: Month) -> Any:
    """The month's entries that are not charges."""
    span = Q(occurred_at__gte=month.start, occurred_at__lt=month.end)
    # Written like the condition of the partial index that answers it.
    return LedgerEntry.objects.filter(span, ~Q(kind__in=CHARGES), team=team)


def _causes(sums: DaySums) -> dict[str, Cause]:
    return {
        source: Cause(
            used.amount_micro,
            0,
            source,
            device_ms=used.device_ms,
            units=used.units,
            requests=used.requests,
        )
        for source, used in sums.by_source.items()
    }


def _refund_of_cause(row: LedgerEntry, causes: dict[str, Cause]) -> bool:
    """Put a refund to the job it is of; False for what no job or deployment caused."""
    if row.kind != Kind.REFUND or not row.about:
        return False
    cause = causes.setdefault(row.about, Cause(source=row.about))
    cause.refunded_micro -= row.amount_micro
    if row.run_id is not None:
        use = cause.runs.setdefault(row.run_id, RunUse())
        use.refunded_micro -= row.amount_micro
        if row.note and row.note not in use.notes:
            use.notes.append(row.note)
    return True


def _other(row: LedgerEntry) -> OtherLine:
    return OtherLine(row.kind, row.note or row.about, row.amount_micro, row.occurred_at)


def _tokens(sums: DaySums) -> list[TokenUse]:
    uses = [
        TokenUse(prefix, used.units, used.requests, used.asked_micro)
        for prefix, used in sums.by_token.items()
        if used.units or used.requests
    ]
    return sorted(uses, key=lambda use: (-use.amount_micro, use.prefix))


def _days(month: Month, sums: DaySums, rows: Iterable[LedgerEntry]) -> list[Day]:
    """Every day of the month, also those without usage."""
    totals: dict[date, int] = defaultdict(int)
    for on, used in sums.by_day.items():
        totals[on] += used.amount_micro
    for row in rows:
        totals[row.occurred_at.astimezone(UTC).date()] += row.amount_micro
    first, length = month.start.date(), (month.end - month.start).days
    return [
        Day(on, totals[on]) for on in (first + timedelta(days=number) for number in range(length))
    ]
