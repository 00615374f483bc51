"""Invoices: a month's usage by SKU, what credit covered and what is due."""

import logging
from dataclasses import asdict, dataclass
from datetime import UTC
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Sum
from django.db.models.functions import TruncMonth
from django.forms.models import model_to_dict
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets.budget import lock_budget
from billing.credit.invoice_periods import GIVEN_BACK
from billing.db_snapshot import db_snapshot
from billing.models import BillingDetails, Invoice, LedgerEntry, Rate, UsageDay
from billing.money import round_to_cents
from billing.months import Month, parse_month, this_month
from billing.pricing import SKU_NAMES, format_nano_dollars, format_quantity
from billing.statements.statement import (
    build_credit_statement,
    daily_charges,
    refunds_and_adjustments,
)
from billing.stripe import gateway
from web.advisory_lock import advisory_lock_in_transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class InvoiceLine:
    """One line of an invoice. `nano_per_unit`: the price of a unit in nano-USD; None where several
    prices or none applied."""

    what: str
    quantity: str = ""
    nano_per_unit: int | None = None
    amount_micro: int

    @property
    def unit_price(self) -> str:
        return "" if self.nano_per_unit is None else format_nano_dollars(self.nano_per_unit)


@dataclass(frozen=True, kw_only=True)
class InvoiceContent:
    """Everything that an invoice prints. Lines are exact micro-USD; `due_cents` is their sum,
    rounded once."""

    seller: dict[str, str]
    buyer: dict[str, str]
    lines: list[InvoiceLine]
    used_credit: list[InvoiceLine]
    total_micro: int
    due_micro: int

    @property
    def total_cents(self) -> int:
        return round_to_cents(self.total_micro)

    @property
    def due_cents(self) -> int:
        return round_to_cents(self.due_micro)


def build_content(team: Team, month: Month) -> InvoiceContent:
    """The month as an invoice shows it; the month so far if it is not over."""
    with db_snapshot():
        lines = [
            *_compute_lines(team, month),
            *_token_lines(team, month),
            *_refund_and_adjustment_lines(team, month),
        ]
        credit = build_credit_statement(team, month)
    total = sum(line.amount_micro for line in lines)
    covered = [
        InvoiceLine(what=f"Covered by credit: {use.note}", amount_micro=use.amount_micro)
        for use in credit.lines
        if use.at is None
    ]
    return InvoiceContent(
        seller=_seller(),
        buyer=_buyer(team),
        lines=lines,
        used_credit=covered,
        total_micro=total,
        due_micro=total + sum(line.amount_micro for line in covered),
    )


def load_issued(invoice: Invoice) -> InvoiceContent:
    """The content of an issued invoice, which never changes."""
    content = dict(invoice.content)
    for name in ("lines", "used_credit"):
        content[name] = [InvoiceLine(**line) for line in content[name]]
    return InvoiceContent(**content)


def issue_due() -> int:
    """Issue the missing invoices of all months that are over; returns how many. Repeatable.

    Does nothing with Stripe, which issues invoices itself.
    """
    if gateway.is_enabled():
        return 0
    return sum(_issue_invoice(team_id, month) for month, team_id in _uninvoiced_months())


def _uninvoiced_months() -> list[tuple[Month, UUID]]:
    """The ended months and teams with usage or a manual charge and no invoice, oldest first."""
    end = this_month().start
    days = UsageDay.objects.filter(day__lt=end.date())
    by_hand = LedgerEntry.objects.filter(
        kind=LedgerEntry.Kind.ADJUSTMENT, amount_micro__gt=0, occurred_at__lt=end
    ).exclude(source__startswith=GIVEN_BACK)
    used = [
        *days.values_list(TruncMonth("day"), "team").distinct().order_by(),
        *by_hand.values_list(TruncMonth("occurred_at", tzinfo=UTC), "team").distinct(),
    ]
    codes = {(f"{month:%Y-%m}", team_id) for month, team_id in used}
    codes -= set(Invoice.objects.values_list("month", "team"))
    return [(parse_month(code), team_id) for code, team_id in sorted(codes)]


@transaction.atomic
def _issue_invoice(team_id: UUID, month: Month) -> bool:
    # One invoice at a time, so that no number is missing or used twice.
    advisory_lock_in_transaction("invoice numbers")
    # Entries are written under this lock; from now on the team's are in the new month only.
    lock_budget(team_id)
    if Invoice.objects.filter(team=team_id, month=month.code).exists():
        return False
    serial = (Invoice.objects.aggregate(last=Max("serial"))["last"] or 0) + 1
    number = f"{settings.INVOICE_PREFIX}-{month.start:%Y}-{serial:05d}"
    content = build_content(Team.objects.get(pk=team_id), month)
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


def get_invoice(team: Team, month: Month) -> tuple[Invoice | None, InvoiceContent]:
    """The issued invoice of a month, or None and the month so far (pro forma)."""
    invoice = Invoice.objects.filter(team=team, month=month.code).first()
    return invoice, load_issued(invoice) if invoice else build_content(team, month)


def _compute_lines(team: Team, month: Month) -> list[InvoiceLine]:
    """A line for compute of each SKU and price."""
    rows = (
        daily_charges(team, month)
        .filter(run__isnull=False)
        .values_list(F("run__rate__sku"), F("run__rate__nano_per_unit"))
        .annotate(ms=Sum("device_ms"), a=Sum("amount_micro"))
        .order_by("run__rate__sku", "run__rate__nano_per_unit")
    )
    return [
        InvoiceLine(
            what=f"Compute: {SKU_NAMES.get(sku, sku)}",
            quantity=f"{ms // 1000:,}.{ms % 1000:03d} device-seconds",
            nano_per_unit=nano,
            amount_micro=micro,
        )
        for sku, nano, ms, micro in rows
    ]


def _token_lines(team: Team, month: Month) -> list[InvoiceLine]:
    charges = daily_charges(team, month).filter(run=None).values_list("sku")
    rows = charges.annotate(u=Sum("units"), a=Sum("amount_micro")).order_by("sku")
    return [
        InvoiceLine(
            what=SKU_NAMES.get(sku, sku) or "Other usage",
            quantity=format_quantity(sku, units),
            nano_per_unit=_single_rate(sku, month),
            amount_micro=micro,
        )
        for sku, units, micro in rows
    ]


def _single_rate(sku: str, month: Month) -> int | None:
    """The price of a unit in nano-USD, if it did not change in the month; else None."""
    rates = Rate.objects.filter(sku=sku, valid__overlap=(month.start, month.end))
    prices = set(rates.values_list("nano_per_unit", flat=True))
    return prices.pop() if len(prices) == 1 else None


def _refund_and_adjustment_lines(team: Team, month: Month) -> list[InvoiceLine]:
    """A line for refunds, and one for adjustments, of each reason."""
    entries = refunds_and_adjustments(team, month).values_list("kind", "note")
    lines = []
    for kind, note, micro in entries.annotate(a=Sum("amount_micro")).order_by("kind", "note"):
        lines.append(InvoiceLine(what=_describe_entry(kind, note), amount_micro=micro))
    return lines


def _describe_entry(kind: str, note: str) -> str:
    if note.startswith("Refund: "):  # It says by itself what it is.
        return note
    if kind == LedgerEntry.Kind.REFUND:
        return f"Given back: {note}" if note else "Given back"
    return f"Adjustment: {note}" if note else "Adjustment"


def _seller() -> dict[str, str]:
    return {
        "name": settings.SELLER_NAME,
        "address": "\n".join(part.strip() for part in settings.SELLER_ADDRESS.split(";")),
        "tax_id": settings.SELLER_TAX_ID,
        "email": settings.SELLER_EMAIL,
    }


def _buyer(team: Team) -> dict[str, str]:
    details = BillingDetails.objects.filter(team=team).first() or BillingDetails(team=team)
    printed = model_to_dict(details, ["address", "tax_id", "email", "reference"])
    return {"name": details.legal_name or team.name, **printed}
