"""Invoices: a month's usage by SKU, what credit covered and what is due, as people file it."""

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Min, Sum
from django.utils.timezone import now

from accounts.models import Team
from billing import budget as budgets
from billing.credit_account import credit_account
from billing.models import BillingDetails, Invoice, LedgerEntry, Rate, UsageDay
from billing.months import Month, this_month
from billing.pricing import NAMES, PER_MILLION_UNITS, nano_dollars
from billing.snapshot import snapshot
from billing.usage import CHARGES, charges

logger = logging.getLogger(__name__)
ISSUING_LOCK = 7_420_461_002  # Numbers are given one at a time, so that none is ever missing.
MICRO_PER_CENT = 10_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row. `nano_per_unit` is None where several prices or none applied."""

    what: str
    quantity: str = ""
    nano_per_unit: int | None = None
    amount_micro: int

    @property
    def unit_price(self) -> str:
        return "" if self.nano_per_unit is None else nano_dollars(self.nano_per_unit)


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything that is printed. Lines are exact; `due_cents` is their sum, rounded once."""

    seller: dict[str, str]
    buyer: dict[str, str]
    lines: list[Line]
    used_credit: list[Line]
    total_micro: int
    due_micro: int

    @property
    def total_cents(self) -> int:
        return cents(self.total_micro)

    @property
    def due_cents(self) -> int:
        return cents(self.due_micro)


def cents(micro: int) -> int:
    """Micro-USD as whole cents, half a cent away from zero (ROUND_HALF_UP)."""
    return int((Decimal(micro) / MICRO_PER_CENT).quantize(Decimal(1), ROUND_HALF_UP))


def content_of(team: Team, month: Month) -> Content:
    """The month as an invoice says it; for a month that is not over, so far."""
    with snapshot():
        lines = [*_compute(team, month), *_tokens(team, month), *_others(team, month)]
        credit = credit_account(team, month)
    total = sum(line.amount_micro for line in lines)
    covered = [
        Line(what=f"Covered by credit: {use.note}", amount_micro=use.amount_micro)
        for use in credit.lines
        if use.at is None
    ]
    return Content(
        seller=_seller(),
        buyer=_buyer(team),
        lines=lines,
        used_credit=covered,
        total_micro=total,
        due_micro=total + sum(line.amount_micro for line in covered),
    )


def stored(invoice: Invoice) -> Content:
    """What an issued invoice says, for ever."""
    facts = dict(invoice.content)
    for name in ("lines", "used_credit"):
        facts[name] = [Line(**line) for line in facts[name]]
    return Content(**facts)


def issue_due() -> int:
    """Issue what is missing of every month that is over; returns how many. Safe to repeat."""
    issued = 0
    for month, team_id in _missing():
        issued += _issue(team_id, month)
    return issued


def _missing() -> list[tuple[Month, UUID]]:
    """Teams and ended months with usage and no invoice, oldest first."""
    first = UsageDay.objects.aggregate(first=Min("day"))["first"]
    months: list[tuple[Month, UUID]] = []
    month = this_month().previous
    while first is not None and month.end.date() > first:
        used = UsageDay.objects.filter(day__gte=month.start.date(), day__lt=month.end.date())
        known = Invoice.objects.filter(month=month.code).values("team")
        teams = used.exclude(team__in=known).values_list("team_id", flat=True)
        months = [(month, team_id) for team_id in teams.distinct().order_by("team_id")] + months
        month = month.previous
    return months


@transaction.atomic
def _issue(team_id: UUID, month: Month) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ISSUING_LOCK])
    # From here on the team books into the new month only: this one cannot change any more.
    budgets.lock(team_id)
    if Invoice.objects.filter(team=team_id, month=month.code).exists():
        return False
    serial = (Invoice.objects.aggregate(last=Max("serial"))["last"] or 0) + 1
    number = f"{settings.INVOICE_PREFIX}-{month.start:%Y}-{serial:05d}"
    content = content_of(Team.objects.get(pk=team_id), month)
    Invoice.objects.create(
        number=number,
        serial=serial,
        team_id=team_id,
        month=month.code,
        issued_at=now(),
        content=asdict(content),
    )
    logger.info("Issued invoice %s", number)
    return True


def invoice_of(team: Team, month: Month) -> tuple[Invoice | None, Content]:
    """The issued invoice of a month, or None and the month so far (pro forma)."""
    invoice = Invoice.objects.filter(team=team, month=month.code).first()
    return invoice, stored(invoice) if invoice else content_of(team, month)


def _compute(team: Team, month: Month) -> list[Line]:
    """Compute by SKU and the price at which it ran."""
    rows = (
        charges(team, month)
        .filter(run__isnull=False)
        .values_list(F("run__rate__sku"), F("run__rate__nano_per_unit"))
        .annotate(ms=Sum("device_ms"), a=Sum("amount_micro"))
        .order_by("run__rate__sku", "run__rate__nano_per_unit")
    )
    return [
        Line(
            what=f"Compute: {NAMES.get(sku, sku)}",
            quantity=f"{ms // 1000:,}.{ms % 1000:03d} device-seconds",
            nano_per_unit=nano,
            amount_micro=micro,
        )
        for sku, nano, ms, micro in rows
    ]


def _tokens(team: Team, month: Month) -> list[Line]:
    rows = charges(team, month).filter(run=None).values_list("sku")
    rows = rows.annotate(u=Sum("units"), a=Sum("amount_micro")).order_by("sku")
    return [
        Line(
            what=NAMES.get(sku, sku) or "Other usage",
            quantity=f"{units:,} {'tokens' if sku == PER_MILLION_UNITS else 'units'}",
            nano_per_unit=_only_rate(sku, month.start, month.end),
            amount_micro=micro,
        )
        for sku, units, micro in rows
    ]


def _only_rate(sku: str, start: datetime, end: datetime) -> int | None:
    rates = Rate.objects.filter(sku=sku, valid__overlap=(start, end))
    found = set(rates.values_list("nano_per_unit", flat=True))
    return found.pop() if len(found) == 1 else None


def _others(team: Team, month: Month) -> list[Line]:
    """What was given back, by reason, and every adjustment."""
    rows = (
        LedgerEntry.objects.filter(
            team=team, occurred_at__gte=month.start, occurred_at__lt=month.end
        )
        .exclude(kind__in=CHARGES)
        .of_usage()
        .values_list("kind", "note")
        .annotate(a=Sum("amount_micro"))
        .order_by("kind", "note")
    )
    words = {"refund": "Given back", "adjustment": "Adjustment"}
    return [
        Line(what=f"{words.get(kind, kind)}: {note}" if note else words.get(kind, kind),
             amount_micro=micro)
        for kind, note, micro in rows
    ]  # fmt: skip


def _seller() -> dict[str, str]:
    return {
        "name": settings.SELLER_NAME,
        "address": "\n".join(part.strip() for part in settings.SELLER_ADDRESS.split(";")),
        "tax_id": settings.SELLER_TAX_ID,
        "email": settings.SELLER_EMAIL,
    }


def _buyer(team: Team) -> dict[str, str]:
    details = BillingDetails.objects.filter(team=team).first() or BillingDetails(team=team)
    facts: dict[str, Any] = {
        "name": details.legal_name or team.name,
        "address": details.address,
        "tax_id": details.tax_id,
        "email": details.email,
        "reference": details.reference,
    }
    return facts
