"""A team's usage and what it owes for a month.

Charges come from the daily sums beside the ledger, everything else from the ledger's entries, all
read in one snapshot: rows, days and total add up to the micro-dollar even while usage is posted.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import OuterRef, Q, Subquery, Sum
from django.utils.timezone import now

from accounts.models import Team
from billing.db_snapshot import db_snapshot
from billing.models import CreditDay, LedgerEntry, MeteredRun, UsageDay
from billing.models.ledger import AmountQuerySet, LedgerEntryQuerySet
from billing.months import Month, this_month
from billing.pricing import ANSWERS_SKU, SKU_NAMES, UNIT_SKUS, VOICE_SKUS, format_quantity
from billing.statements.sources import COUNTED_FAMILIES, CostSource, RunUsage, resolve_names

Kind = LedgerEntry.Kind
CHARGE_KINDS = (Kind.COMPUTE, Kind.INFERENCE)
CREDIT_LABELS = {Kind.CREDIT: "Granted", Kind.EXPIRY: "Expired", Kind.TAKE_BACK: "Taken back"}
MAX_ROWS = 50  # Rows of a table on a page; the CSV has them all.
# In SQL, as the ORM has no grouping sets and would read the rows three times. Units and requests
# are of tokens; seconds and characters of speech, and answers, are in `used`.
_TOTALS_SQL = f"""
SELECT grouping(sku), grouping(source), grouping(day), source, day, token_prefix, sku,
    coalesce(sum(units), 0)::bigint, coalesce(sum(requests), 0)::bigint,
    sum(amount_micro)::bigint, sum(device_ms)::bigint,
    coalesce(sum(units) FILTER (WHERE sku <> ALL(%(no_tokens)s)), 0)::bigint,
    coalesce(sum(requests) FILTER (WHERE sku <> ALL(%(no_tokens)s)), 0)::bigint,
    coalesce(sum(amount_micro) FILTER (WHERE units > 0 OR requests > 0), 0)::bigint
FROM {UsageDay._meta.db_table}
WHERE team_id = %(team)s AND day >= %(start)s AND day < %(end)s
GROUP BY GROUPING SETS ((source), (day), (token_prefix), (source, sku))
HAVING grouping(sku) = 1 OR sku = ANY(%(no_tokens)s)
"""


@dataclass(frozen=True)
class TokenUsage:
    """The usage of deployments by one API token; the prefix is "" for the playground."""

    prefix: str
    units: int
    requests: int
    amount_micro: int


@dataclass(frozen=True)
class UnitUsage:
    """An assistant's answers, seconds of recognised speech, or spoken characters; part of its
    cost."""

    by: CostSource
    sku: str
    units: int
    requests: int
    amount_micro: int

    @property
    def what(self) -> str:
        return SKU_NAMES[self.sku]

    @property
    def quantity(self) -> str:
        return format_quantity(self.sku, self.units)


@dataclass(frozen=True)
class DayTotal:
    on: date
    amount_micro: int


@dataclass(frozen=True)
class CreditLine:
    """A change of credit. Usage that was covered is one line for each grant."""

    what: str
    note: str
    amount_micro: int  # Positive adds to the credit.
    at: datetime | None = None


@dataclass(frozen=True)
class CreditStatement:
    """A team's credit in a month: the opening balance plus all lines is the closing balance."""

    opening_micro: int
    lines: list[CreditLine]
    used_micro: int  # The part of the month's usage that credit covered.

    @property
    def closing_micro(self) -> int:
        return self.opening_micro + sum(line.amount_micro for line in self.lines)

    @property
    def is_empty(self) -> bool:
        return not self.opening_micro and not self.lines


@dataclass
class Statement:
    """One team's month. `total_micro` is what its usage cost: the sum of all rows."""

    team: Team
    month: Month
    credit: CreditStatement
    as_of: datetime = field(default_factory=now)
    cost_sources: list[CostSource] = field(default_factory=list)  # The most expensive first.
    others: list[LedgerEntry] = field(default_factory=list)  # Entries without a job or deployment.
    days: list[DayTotal] = field(default_factory=list)
    charges_by_day: dict[date, int] = field(default_factory=dict)  # Without refunds.
    tokens: list[TokenUsage] = field(default_factory=list)
    used: list[UnitUsage] = field(default_factory=list)  # Part of the cost of assistants.

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
        """The amount that credit covered, as zero or a negative number."""
        return -self.credit.used_micro

    @property
    def due_micro(self) -> int:
        """The amount that credit did not cover."""
        return self.total_micro + self.covered_micro

    @property
    def jobs(self) -> list[CostSource]:
        return [source for source in self.cost_sources if source.family not in COUNTED_FAMILIES]

    @property
    def deployments(self) -> list[CostSource]:
        return [source for source in self.cost_sources if source.family in COUNTED_FAMILIES]

    @property
    def refunded_micro(self) -> int:
        return sum(source.refunded_micro for source in self.cost_sources)

    @property
    def device_ms(self) -> int:
        return sum(source.device_ms for source in self.cost_sources)


@dataclass(frozen=True)
class TopRows:
    """The most expensive rows, and the count and sum of the others."""

    rows: list[CostSource]
    omitted_count: int
    omitted_micro: int
    total_micro: int


def top_rows(sources: list[CostSource]) -> TopRows:
    """The first MAX_ROWS of sources that are sorted by cost."""
    omitted = sources[MAX_ROWS:]
    return TopRows(
        rows=sources[:MAX_ROWS],
        omitted_count=len(omitted),
        omitted_micro=sum(source.net_micro for source in omitted),
        total_micro=sum(source.net_micro for source in sources),
    )


def month_total(team: Team, month: Month) -> int:
    """Micro-USD that the month's usage cost so far."""
    charges = daily_charges(team, month)
    return charges.total_micro() + refunds_and_adjustments(team, month).total_micro()


def spent_by_tokens(team: Team) -> dict[str, int]:
    """Micro-USD spent this month by each API token's prefix, as its budget counts them."""
    days = daily_charges(team, this_month()).exclude(token_prefix="")
    rows = days.values_list("token_prefix").annotate(Sum("amount_micro"))
    return dict(rows.order_by())


def build_statement(team: Team, month: Month, *, with_attempts: bool = True) -> Statement:
    """The month's usage and what is owed for it, as of now; `with_attempts` also loads attempts and
    names of sources."""
    with db_snapshot():
        statement = Statement(team, month, build_credit_statement(team, month))
        sources = _load_charges(statement)
        by_day = Counter(statement.charges_by_day)
        for entry in refunds_and_adjustments(team, month):
            by_day[entry.occurred_at.astimezone(UTC).date()] += entry.amount_micro
            if not _attach_refund(entry, sources):
                entry.note = entry.note or entry.about
                statement.others.append(entry)
        statement.cost_sources = sorted(
            sources.values(), key=lambda row: (-row.net_micro, row.source)
        )
        days = range((month.end - month.start).days)  # Also those without usage.
        dates = (month.start.date() + timedelta(days=number) for number in days)
        statement.days = [DayTotal(on, by_day[on]) for on in dates]
        if with_attempts:
            add_attempts(statement, statement.cost_sources)
            resolve_names(statement.cost_sources)
    return statement


def add_attempts(statement: Statement, sources: list[CostSource]) -> None:
    """Add the attempts of these sources with what each used, including free ones."""
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
        annotations = run.__dict__
        use.run, use.device_ms = run, annotations["month_ms"] or 0
        use.charged_micro = annotations["month_micro"] or 0


def daily_charges(team: Team, month: Month) -> AmountQuerySet[UsageDay]:
    """The daily sums of a month."""
    return UsageDay.objects.filter(team=team, day__gte=month.start.date(), day__lt=month.end.date())


def refunds_and_adjustments(team: Team, month: Month) -> LedgerEntryQuerySet:
    """The month's ledger entries about usage that are not charges."""
    span = Q(occurred_at__gte=month.start, occurred_at__lt=month.end)
    # ~Q(...) is written like the condition of the partial index that answers it.
    return LedgerEntry.objects.filter(span, ~Q(kind__in=CHARGE_KINDS), team=team).of_usage()


def _attach_refund(entry: LedgerEntry, sources: dict[str, CostSource]) -> bool:
    """Add a refund to its source; False for an entry without one."""
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


def _load_charges(statement: Statement) -> dict[str, CostSource]:
    """Set the statement's charges by day, API token and unit; returns the charges by source."""
    month = statement.month
    params: dict[str, UUID | date | list[str]] = {
        "team": statement.team.pk,
        "no_tokens": list(UNIT_SKUS),
        "start": month.start.date(),
        "end": month.end.date(),
    }
    sources, used = dict[str, CostSource](), list[tuple[Any, ...]]()
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS_SQL, params)
        for row in cursor.fetchall():
            is_over_skus, is_over_sources, is_over_days, source, day, prefix, *unit_usage = row[:9]
            micro, device_ms, units, requests, token_micro = row[9:]
            if not is_over_skus:
                used.append((source, *unit_usage, micro))
            elif not is_over_sources:
                sources[source] = CostSource(
                    micro, source=source, device_ms=device_ms, units=units, requests=requests
                )
            elif not is_over_days:
                statement.charges_by_day[day] = micro
            elif units or requests or token_micro:
                statement.tokens.append(TokenUsage(prefix, units, requests, token_micro))
    statement.used = [UnitUsage(sources[name], *usage) for name, *usage in sorted(used)]
    statement.tokens.sort(key=lambda use: (-use.amount_micro, use.prefix))
    return sources


def build_credit_statement(team: Team, month: Month) -> CreditStatement:
    """The month's credit, from the ledger's credit entries and the daily sums of used credit."""
    moved = LedgerEntry.objects.filter(team=team, occurred_at__lt=month.end).of_credit()
    opening, lines = 0, []
    for row in moved.order_by("occurred_at", "pk"):
        if row.occurred_at < month.start:
            opening -= row.amount_micro
        else:
            what = CREDIT_LABELS[Kind(row.kind)]
            lines.append(CreditLine(what, row.note, -row.amount_micro, row.occurred_at))
    used = 0
    first_day = month.start.date()
    days = CreditDay.objects.filter(team=team, day__lt=month.end.date())
    by_grant = days.values_list("grant_id", "grant__note").annotate(
        before=Sum("used_micro", filter=Q(day__lt=first_day), default=0),
        during=Sum("used_micro", filter=Q(day__gte=first_day), default=0),
    )
    for _, note, before, during in by_grant.order_by("grant_id"):
        opening -= before
        used += during
        if during:
            lines.append(CreditLine("Covered usage", note, -during))
    return CreditStatement(opening, lines, used)
