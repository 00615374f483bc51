"""Amounts that operators post by hand and that Stripe lets a team off: always with a reason, each
request once, as new entries."""

from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing.budgets import alerts
from billing.budgets.budget import lock_budget
from billing.credit import grants
from billing.credit.invoice_periods import FORGIVEN
from billing.ledger.posting import post_entry
from billing.metering.runs import lock_run, post_refund, unrefunded_micro
from billing.models import CreditGrant, LedgerEntry, MeteredRun
from billing.money import MICRO_PER_CENT
from web.errors import UserError


class BadAdjustment(UserError):
    code, status = "bad_adjustment", 400


class BadRefund(UserError):
    code, status = "bad_refund", 400


@transaction.atomic
def post_adjustment(
    team: Team, amount_micro: int, reason: str, *, by: User, request_id: UUID
) -> LedgerEntry:
    """Book a signed amount: negative gives back, positive charges. The same request counts once."""
    if not reason.strip():
        raise BadAdjustment("An adjustment needs a reason that the customer will read.")
    if amount_micro == 0:
        raise BadAdjustment("An adjustment of nothing changes nothing. Enter an amount.")
    budget = lock_budget(team.pk)
    source = f"adjustment:{request_id}"
    existing = LedgerEntry.objects.filter(source=source).first()
    if existing is not None:
        return existing
    kind = LedgerEntry.Kind.ADJUSTMENT
    entry = LedgerEntry(kind=kind, amount_micro=amount_micro, source=source, note=reason.strip())
    post_entry(budget, entry)
    budget.save(update_fields=["spent_micro"])
    alerts.notify_thresholds(budget)
    audit.record(team, by, "ledger.adjusted", source, micro=amount_micro, reason=reason)
    return entry


@transaction.atomic
def forgive(team: Team, key: str, cents: int, credit_cents: int, note: str) -> None:
    """So much usage is not owed, and the credit that had covered more is there again; once a key.

    Not by `post_entry`: what the usage had used of credit is told by the invoice.
    """
    budget, source = lock_budget(team.pk), f"{FORGIVEN}{key}"
    if cents > 0 and not LedgerEntry.objects.filter(source=source).exists():
        LedgerEntry.objects.create(
            team=team,
            kind=LedgerEntry.Kind.ADJUSTMENT,
            amount_micro=-cents * MICRO_PER_CENT,
            source=source,
            note=note,
            occurred_at=max(now(), budget.period_start),  # A month that is over does not change.
        )
        budget.spent_micro -= cents * MICRO_PER_CENT
        budget.save(update_fields=["spent_micro"])
    # Once: what was used later has used other credit.
    if credit_cents > 0 and not CreditGrant.objects.filter(source=source).exists():
        micro = credit_cents * MICRO_PER_CENT
        grants.grant(team, micro, kind="promo", source=source, note=note)


@transaction.atomic
def refund_part(
    source: str,
    note: str,
    *,
    request_id: UUID,
    amount_micro: int | None = None,
    fence: int | None = None,
) -> int:
    """Give back an amount of what a source was charged, all of it for None; newest run first.

    `fence` narrows it to one run. Returns micro-USD, 0 when this request was booked before.
    """
    if not note.strip():
        raise BadRefund("A refund needs a reason that the customer will read.", param="note")
    runs = MeteredRun.objects.filter(source=source).order_by("-fence")
    if fence is not None:
        runs = runs.filter(fence=fence)
    if not runs:
        raise BadRefund(f"Nothing was ever metered for {source!r}.", param="source")
    lock_budget(runs[0].team_id)
    sources = {run.pk: f"refund:run:{run.pk}:{request_id}" for run in runs}
    if LedgerEntry.objects.filter(source__in=sources.values()).exists():
        return 0
    possible = sum(max(0, unrefunded_micro(run)) for run in runs)
    amount = rest = possible if amount_micro is None else amount_micro
    if not 0 < amount <= possible:
        raise BadRefund(
            f"Between 1 and {possible} micro-USD of {source} can be given back.", param="amount"
        )
    for run_id, refund_source in sources.items():
        run, budget = lock_run(run_id)
        part = min(rest, unrefunded_micro(run))
        rest -= post_refund(run, budget, part, refund_source, note.strip())
    return amount
