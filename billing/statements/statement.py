"""What a team used and owes for one month.

Charges come from the daily sums that the database keeps beside the ledger, everything else from
its entries, all in one snapshot: rows, days and total add up to the micro-dollar even while
heartbeats are being posted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import OuterRef, Q, Subquery, Sum
from django.utils.timezone import now

from accounts.models import Team
from billing.credit.statement import CreditStatement, build_credit_statement
from billing.db_snapshot import db_snapshot
from billing.models import LedgerEntry, MeteredRun, UsageDay
from billing.models.ledger import AmountQuerySet, LedgerEntryQuerySet
from billing.months import Month
from billing.pricing import ANSWERS_SKU, VOICE_SKUS
from billing.statements.daily_totals import TokenUsage, UnitUsage, load_daily_totals
from billing.statements.sources import COUNTED_FAMILIES, CostSource, RunUsage, resolve_names

Kind = LedgerEntry.Kind
CHARGE_KINDS = (Kind.COMPUTE, Kind.INFERENCE)
MAX_ROWS = 50  # Rows of a table on a page; the CSV has them all.


@dataclass(frozen=True)
class OtherEntry:
    """An adjustment, or a refund that no job or deployment caused."""

    kind: str
    note: str
    amount_micro: int
    at: datetime


@dataclass(frozen=True)
class DayTotal:
    on: date
    amount_micro: int


@dataclass(frozen=True)
class Statement:
    """One team's month. `total_micro` is what its usage cost: the sum of all rows."""

    team: Team
    month: Month
    as_of: datetime
    cost_sources: list[CostSource]
    others: list[OtherEntry]
    days: list[DayTotal]
    charges_by_day: dict[date, int]  # Without what was given back.
    tokens: list[TokenUsage]
    used: list[UnitUsage]  # Part of what assistants cost among the sources.
    credit: CreditStatement

    @property
    def voice(self) -> list[UnitUsage]:
        return [use for use in self.used if use.sku in VOICE_SKUS]

    @property
    def answers(self) -> list[UnitUsage]:
        return [use for use in self.used if use.sku == ANSWERS_SKU]

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
    def jobs(self) -> list[CostSource]:
        return [source for source in self.cost_sources if source.family not in COUNTED_FAMILIES]

    @property
    def deployments(self) -> list[CostSource]:
        return [source for source in self.cost_sources if source.family in COUNTED_FAMILIES]

    @property
    def charged_micro(self) -> int:
        return sum(source.charged_micro for source in self.cost_sources)

    @property
    def refunded_micro(self) -> int:
        return sum(source.refunded_micro for source in self.cost_sources)

    @property
    def device_ms(self) -> int:
        return sum(source.device_ms for source in self.cost_sources)


@dataclass(frozen=True)
class TopRows:
    """The most expensive rows, and the sum of those left out."""

    rows: list[CostSource]
    omitted_count: int
    omitted_micro: int
    total_micro: int


def top_rows(sources: list[CostSource]) -> TopRows:
    """Of sources sorted by cost, the first MAX_ROWS."""
    rest = sources[MAX_ROWS:]
    return TopRows(
        rows=sources[:MAX_ROWS],
        omitted_count=len(rest),
        omitted_micro=sum(source.net_micro for source in rest),
        total_micro=sum(source.net_micro for source in sources),
    )


def month_total(team: Team, month: Month) -> int:
    """Micro-USD that the month's usage cost so far."""
    charges = daily_charges(team, month)
    return charges.total_micro() + refunds_and_adjustments(team, month).total_micro()


def build_statement(team: Team, month: Month, *, with_attempts: bool = True) -> Statement:
    """The month's usage and what is owed for it, as of now; jobs by attempt unless told not to."""
    with db_snapshot():
        entries = list(refunds_and_adjustments(team, month))
        totals = load_daily_totals(team, month)
        sources = totals.sources
        others = [
            OtherEntry(entry.kind, entry.note or entry.about, entry.amount_micro, entry.occurred_at)
            for entry in entries
            if not _attach_refund(entry, sources)
        ]
        statement = Statement(
            team=team,
            month=month,
            as_of=now(),
            cost_sources=sorted(sources.values(), key=lambda row: (-row.net_micro, row.source)),
            others=others,
            days=_day_totals(month, totals.by_day, entries),
            charges_by_day=totals.by_day,
            tokens=totals.tokens,
            used=totals.used,
            credit=build_credit_statement(team, month),
        )
        if with_attempts:
            add_attempts(statement, statement.cost_sources)
            resolve_names(statement.cost_sources)
    return statement


def add_attempts(statement: Statement, sources: list[CostSource]) -> None:
    """Fill in what each attempt of these sources used; free ones are listed too."""
    by_name = {source.source: source for source in sources}
    charges = daily_charges(statement.team, statement.month).filter(run__isnull=False)
    if len(by_name) < len(statement.cost_sources):
        charges = charges.filter(source__in=by_name)
    refunded = {run_id for source in sources for run_id in source.runs}
    own = charges.filter(run=OuterRef("pk")).order_by().values("run")
    runs = MeteredRun.objects.filter(
        Q(pk__in=charges.order_by().values("run")) | Q(pk__in=refunded)
    ).annotate(
        month_ms=Subquery(own.annotate(total=Sum("device_ms")).values("total")),
        month_micro=Subquery(own.annotate(total=Sum("amount_micro")).values("total")),
    )
    for run in runs.select_related("rate"):
        source = by_name.get(run.source)
        if source is None:
            continue
        use = source.runs.setdefault(run.pk, RunUsage())
        sums = run.__dict__
        use.run, use.device_ms = run, sums["month_ms"] or 0
        use.charged_micro = sums["month_micro"] or 0


def daily_charges(team: Team, month: Month) -> AmountQuerySet[UsageDay]:
    """The daily sums of a month."""
    return UsageDay.objects.filter(team=team, day__gte=month.start.date(), day__lt=month.end.date())


def refunds_and_adjustments(team: Team, month: Month) -> LedgerEntryQuerySet:
    """The month's entries about usage that are not charges."""
    span = Q(occurred_at__gte=month.start, occurred_at__lt=month.end)
    # ~Q(...) is written like the condition of the partial index that answers it.
    return LedgerEntry.objects.filter(span, ~Q(kind__in=CHARGE_KINDS), team=team).of_usage()


def _attach_refund(entry: LedgerEntry, sources: dict[str, CostSource]) -> bool:
    """Put a refund to the job it is of; False for what no job or deployment caused."""
    if entry.kind != Kind.REFUND or not entry.about:
        return False
    source = sources.setdefault(entry.about, CostSource(source=entry.about))
    source.refunded_micro -= entry.amount_micro
    if entry.run_id is not None:
        use = source.runs.setdefault(entry.run_id, RunUsage())
        use.refunded_micro -= entry.amount_micro
        if entry.note and entry.note not in use.notes:
            use.notes.append(entry.note)
    return True


def _day_totals(
    month: Month, charges_by_day: dict[date, int], entries: Iterable[LedgerEntry]
) -> list[DayTotal]:
    """Every day of the month, also those without usage."""
    by_day = Counter(charges_by_day)
    for entry in entries:
        by_day[entry.occurred_at.astimezone(UTC).date()] += entry.amount_micro
    length = (month.end - month.start).days
    days = (month.start.date() + timedelta(days=number) for number in range(length))
    return [DayTotal(on, by_day[on]) for on in days]
