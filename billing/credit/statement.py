"""A team's credit over one month: what there was, what came, what was used, what is left."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, Sum

from accounts.models import Team
from billing.models import CreditDay, LedgerEntry
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
    moved = LedgerEntry.objects.filter(team=team, occurred_at__lt=month.end).of_credit()
    opening, lines = 0, []
    for row in moved.order_by("occurred_at", "pk"):
        if row.occurred_at < month.start:
            opening -= row.amount_micro
        else:
            what = KIND_LABELS[Kind(row.kind)]
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
