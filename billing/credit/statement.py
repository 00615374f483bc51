"""A team's credit over one month: what there was, what came, what was used, what is left."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from accounts.models import Team
from billing.models import CreditDay, CreditGrant, LedgerEntry
from billing.months import Month

Kind = LedgerEntry.Kind
KIND_LABELS = {
    Kind.CREDIT: "Granted",
    Kind.EXPIRY: "Expired",
    Kind.TAKE_BACK: "Taken back",
}


@dataclass(frozen=True)
class CreditLine:
    """One movement; what covered usage is one line per grant."""

    what: str
    note: str
    amount_micro: int  # Positive adds to the credit.
    at: datetime | None = None


@dataclass(frozen=True)
class CreditStatement:
    """Opening plus all lines is the closing balance, exactly."""

    opening_micro: int
    lines: list[CreditLine]
    used_micro: int  # Of the month's usage, covered by credit.

    @property
    def closing_micro(self) -> int:
        return self.opening_micro + sum(line.amount_micro for line in self.lines)

    @property
    def is_empty(self) -> bool:
        return not self.opening_micro and not self.lines


def build_credit_statement(team: Team, month: Month) -> CreditStatement:
    """Read from the ledger's credit entries and the daily sums of the burns."""
    moved = LedgerEntry.objects.filter(team=team).of_credit().order_by("occurred_at", "pk")
    used = CreditDay.objects.filter(team=team)
    before = -moved.filter(occurred_at__lt=month.start).total_micro()
    burned = used.filter(day__lt=month.start.date()).aggregate(all=Sum("used_micro"))["all"] or 0
    lines = [
        CreditLine(KIND_LABELS[Kind(row.kind)], row.note, -row.amount_micro, row.occurred_at)
        for row in moved.filter(occurred_at__gte=month.start, occurred_at__lt=month.end)
    ]
    covered = (
        used.filter(day__gte=month.start.date(), day__lt=month.end.date())
        .values_list("grant_id", "grant__note")
        .annotate(all=Sum("used_micro"))
        .order_by("grant_id")
    )
    uses = [CreditLine("Covered usage", note, -micro) for _, note, micro in covered if micro]
    return CreditStatement(before - burned, [*lines, *uses], sum(-use.amount_micro for use in uses))


def list_usable_grants(team: Team, moment: datetime) -> list[CreditGrant]:
    """What a team can use now, in the order in which it will be used."""
    return list(CreditGrant.objects.filter(team=team).usable(moment).in_burn_order())
