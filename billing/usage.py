"""What a team used and owes for one month, read from the ledger.

All amounts of a statement come from one query over the ledger, so its rows, days and total add up
to the micro-dollar even while heartbeats are being booked. Times and counts are read beside it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, Sum
from django.db.models.functions import TruncDate
from django.utils.timezone import now

from accounts.models import Team
from billing.models import LedgerEntry, MeteredRun, UsageEvent, UsageSegment
from billing.months import Month

Kind = LedgerEntry.Kind


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
    runs: dict[UUID, RunUse] = field(default_factory=dict)
    units: int = 0
    requests: int = 0

    @property
    def family(self) -> str:
        """ "training-job", "deployment" or whatever the source begins with."""
        return self.source.partition(":")[0]

    @property
    def subject_id(self) -> UUID | None:
        try:
            return UUID(self.source.partition(":")[2])
        except ValueError:
            return None

    @property
    def label(self) -> str:
        words = {"training-job": "Fine-tune", "deployment": "Endpoint"}
        name = words.get(self.family, self.family)
        return f"{name} {str(self.subject_id)[:8]}" if self.subject_id else self.source

    @property
    def device_ms(self) -> int:
        return sum(use.device_ms for use in self.runs.values())

    @property
    def attempts(self) -> list[RunUse]:
        """In the order they began."""
        return sorted(
            self.runs.values(), key=lambda use: (use.run is None, use.run and use.run.fence)
        )


@dataclass(frozen=True)
class OtherLine:
    """Credits and adjustments, which no job or deployment caused."""

    kind: str
    note: str
    amount_micro: int


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
    """One team's month. `total_micro` is the sum of the month's ledger entries."""

    team: Team
    month: Month
    as_of: datetime
    total_micro: int
    causes: list[Cause]
    others: list[OtherLine]
    days: list[Day]
    tokens: list[TokenUse]

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
    """Micro-USD owed for the month so far."""
    total: int = _entries(team, month).total_micro()
    return total


def statement_of(team: Team, month: Month) -> Statement:
    """The month's usage and what is owed for it, as of now."""
    as_of = now()
    booked = list(_booked(team, month))
    causes = _causes(booked)
    _add_times(team, month, causes)
    _add_counts(team, month, causes)
    return Statement(
        team=team,
        month=month,
        as_of=as_of,
        total_micro=sum(row["micro"] for row in booked),
        causes=sorted(causes.values(), key=lambda cause: (-cause.net_micro, cause.source)),
        others=[
            OtherLine(row["kind"], row["note"] or row["about"], row["micro"])
            for row in booked
            if not _has_cause(row)
        ],
        days=_days(month, booked),
        tokens=_tokens(team, month),
    )


def _entries(team: Team, month: Month) -> Any:
    span = Q(occurred_at__gte=month.start, occurred_at__lt=month.end)
    return LedgerEntry.objects.filter(span, team=team)


def _booked(team: Team, month: Month) -> Iterable[dict[str, Any]]:
    """The month's entries, summed by day, kind, cause, run and note."""
    rows: Iterable[dict[str, Any]] = (
        _entries(team, month)
        .annotate(day=TruncDate("occurred_at", tzinfo=UTC))
        .values("day", "kind", "about", "run_id", "note")
        .annotate(micro=Sum("amount_micro"))
        .order_by("day", "kind", "about", "run_id", "note")
    )
    return rows


def _has_cause(row: dict[str, Any]) -> bool:
    return bool(row["about"]) and row["kind"] in {Kind.COMPUTE, Kind.INFERENCE, Kind.REFUND}


def _causes(booked: list[dict[str, Any]]) -> dict[str, Cause]:
    causes: dict[str, Cause] = {}
    for row in booked:
        if not _has_cause(row):
            continue
        is_refund = row["kind"] == Kind.REFUND
        cause = causes.setdefault(row["about"], Cause(source=row["about"]))
        cause.add(row["micro"], is_refund=is_refund)
        if row["run_id"] is not None:
            use = cause.runs.setdefault(row["run_id"], RunUse())
            use.add(row["micro"], is_refund=is_refund)
            if is_refund and row["note"]:
                use.notes.append(row["note"])
    return causes


def _add_times(team: Team, month: Month, causes: dict[str, Cause]) -> None:
    """Each run's metered time this month, and the run itself; free runs are listed too."""
    timed = UsageSegment.objects.filter(
        team=team, recorded_at__gte=month.start, recorded_at__lt=month.end
    ).values_list("source", "run_id")
    for source, run_id, device_ms in timed.annotate(ms=Sum("device_ms")).order_by():
        cause = causes.setdefault(source, Cause(source=source))
        cause.runs.setdefault(run_id, RunUse()).device_ms = device_ms
    uses = {run_id: use for cause in causes.values() for run_id, use in cause.runs.items()}
    for run in MeteredRun.objects.filter(team=team, pk__in=uses).select_related("rate"):
        uses[run.pk].run = run


def _counted(team: Team, month: Month) -> Any:
    return UsageEvent.objects.filter(
        team=team, occurred_at__gte=month.start, occurred_at__lt=month.end
    )


def _add_counts(team: Team, month: Month, causes: dict[str, Cause]) -> None:
    counted = _counted(team, month).values_list("source")
    counted = counted.annotate(u=Sum("units"), r=Sum("requests")).order_by()
    for source, units, requests in counted:
        cause = causes.setdefault(source, Cause(source=source))
        cause.units, cause.requests = units, requests


def _tokens(team: Team, month: Month) -> list[TokenUse]:
    rows = _counted(team, month).values_list("token_prefix")
    rows = rows.annotate(u=Sum("units"), r=Sum("requests"), a=Sum("amount_micro"))
    return [TokenUse(*row) for row in rows.order_by("-a", "token_prefix")]


def _days(month: Month, booked: list[dict[str, Any]]) -> list[Day]:
    """Every day of the month, also those without usage."""
    totals: dict[date, int] = defaultdict(int)
    for row in booked:
        totals[row["day"]] += row["micro"]
    first = month.start.date()
    length = (month.end - month.start).days
    return [
        Day(on, totals[on]) for on in (first + timedelta(days=number) for number in range(length))
    ]
