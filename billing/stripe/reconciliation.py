"""Compares our figures with Stripe's: each invoice when it is final, and credit every night.

A difference becomes a Reconciliation row and an alert. It is never corrected by itself: an operator
decides, and `repair` compares again before it changes anything.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db.models import Q, Sum
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing.credit import grants
from billing.credit.invoice_periods import EPOCH
from billing.credit.open_usage import covered_micro
from billing.models import (
    MeterProgress,
    Rate,
    Reconciliation,
    StripeCustomer,
    StripeOutbox,
    Subscription,
)
from billing.money import MICRO_PER_CENT, round_to_cents
from billing.stripe import credit, gateway
from billing.stripe.dtos import StripeInvoiceData, StripeInvoiceLineData
from billing.stripe.errors import StripeFailure, StripeNotFound
from billing.stripe.operator_alerts import raise_alert, settle_alert
from billing.stripe.subscriptions import update_metered_items
from billing.stripe.usage_outbox.claims import retry_refused, waiting_micro
from billing.stripe.usage_outbox.pending_usage import look_below_progress
from web.errors import UserError
from web.templatetags.ui import money

Scope, State, Status = Reconciliation.Scope, Reconciliation.State, StripeOutbox.Status
BALANCE_METER = "credit"  # In place of a meter, where a balance is compared.


class CannotRepair(UserError):
    code, status = "cannot_repair", 409


def reconcile(team: Team, invoice_id: str = "") -> int:
    """Compare a team's credit, and an invoice if one is named; returns how many places differ."""
    if not gateway.is_enabled():
        return 0
    differ = _compare_balance(team) or 0
    _tell_of_waiting_usage(team)
    if invoice_id:
        differ += _compare_invoice(team, gateway.retrieve_invoice(invoice_id))
    return differ


def reconcile_all() -> int:
    """Compare every team that is, or was, at Stripe; returns how many places differ."""
    look_below_progress()
    if not gateway.is_enabled():
        return 0
    retry_refused()
    for row in Subscription.objects.in_force():
        _try(row.team, partial(update_metered_items, row))
    rows = StripeOutbox.objects.values("team").union(StripeCustomer.objects.values("team"))
    teams = Team.objects.filter(pk__in=[row["team"] for row in rows])
    return sum(_try(team, partial(reconcile, team)) or 0 for team in teams.order_by("pk"))


def _try(team: Team, call: Callable[[], int | None]) -> int | None:
    """Call for one team; a failure becomes an alert, so that the other teams are still compared."""
    try:
        outcome = call()
    except StripeFailure as problem:
        raise_alert(
            f"not-reconciled:{team.pk}",
            f"The credit and usage of {team} could not be compared with Stripe's: {problem}",
        )
        return None
    settle_alert(f"not-reconciled:{team.pk}")
    return outcome


def recheck(row: Reconciliation) -> int:
    """Repeat the comparison that found this row; returns how many places differ now."""
    if row.scope != Scope.BALANCE:
        return _compare_invoice(row.team, gateway.retrieve_invoice(row.invoice))
    differ = _compare_balance(row.team)
    if differ is None:  # The customer is gone, and its balance with it.
        settled = {"state": State.SETTLED, "theirs": row.ours, "checked_at": now()}
        Reconciliation.objects.filter(pk=row.pk).update(**settled)
        settle_alert(f"drift:{row.pk}")
    return differ or 0


def repair(row: Reconciliation, *, by: User) -> str:
    """Correct a difference in credit; returns a sentence that says what was done.

    Compares again first. Stripe's balance is made equal to the ledger's; credit that an invoice did
    not take off is granted again. Raises CannotRepair and StripeFailure.
    """
    recheck(row)
    row.refresh_from_db()
    if row.state != State.OPEN:
        return f"{row} agrees by now: nothing was to be done."
    if row.scope == Scope.BALANCE:
        credit.mirror_credit(row.team)
        outcome = f"Stripe's credit of {row.team} is what our ledger says."
    elif row.scope == Scope.CREDIT and row.drift > 0:
        note = f"Credit that invoice {row.invoice} did not take off"
        cents, source = row.drift * MICRO_PER_CENT, f"repair:{row.pk}"
        grants.grant(row.team, cents, kind="promo", source=source, note=note, by=by)
        outcome = (
            f"{row.drift} cents that the invoice charged were granted to {row.team} as credit."
        )
    else:
        raise CannotRepair(
            f"{row} is not a difference in credit. Resend the rows behind it, or correct the "
            "invoice in Stripe's dashboard."
        )
    Reconciliation.objects.filter(pk=row.pk).update(state=State.REPAIRED, checked_at=now())
    settle_alert(f"drift:{row.pk}")
    audit.record(row.team, by, "reconciliation.repaired", str(row), cents=row.drift)
    return outcome


def _tell_of_waiting_usage(team: Team) -> None:
    if micro := waiting_micro(team):
        raise_alert(
            f"waiting:{team.pk}",
            f"{team} used {money(micro)}, before credit, that no invoice of their ended "
            "subscription holds. It goes on the first invoice of their next subscription. If none "
            "is to come, collect it or give it back by an adjustment.",
        )
    else:
        settle_alert(f"waiting:{team.pk}")


def _minute_range(start: datetime, end: datetime) -> Q:
    """A filter for outbox rows whose minute is in [start, end)."""
    first, last = (int(moment.timestamp()) / 60 for moment in (start, end))
    return Q(minute__gte=first, minute__lt=last)


def _compare_balance(team: Team) -> bool | None:
    """Whether the ledger's credit and Stripe's differ; None without a customer.

    A change of credit that has not been mirrored yet is mirrored first.
    """
    row = StripeCustomer.objects.filter(team=team).exclude(customer_id=None).first()
    if row is None:
        return None
    try:
        is_billed = Subscription.objects.in_force().filter(team=team).exists()
        if row.credit_changed_at or not is_billed:  # Without invoices Stripe sees no usage.
            credit.mirror_credit(team)
        drift = credit.compare_credit(team)
    except StripeNotFound:  # Deleted at Stripe; the next customer gets the ledger's credit.
        raise_alert(
            f"customer-deleted:{row.customer_id}",
            f"Stripe does not know {row.customer_id} of {team}, a customer that was deleted. A new "
            "one is made when they pay.",
        )
        return None
    ours = credit.expected_cents(team)
    lines = MeterProgress.objects.filter(team=team).values("meter").distinct().count()
    place = Reconciliation(team=team, meter=BALANCE_METER, starts_at=EPOCH, ends_at=EPOCH)
    return _record(place, Scope.BALANCE, ours, ours - drift, tolerated=lines)


def _compare_invoice(team: Team, invoice: StripeInvoiceData) -> int:
    """Compare quantity and cents of every metered line, meters without a line, and applied credit;
    returns how many of these differ. We and Stripe both round each line once.
    """
    # All usage that invoices of this subscription should count, delivered or not.
    rows = StripeOutbox.objects.filter(team=team, subscription=invoice.subscription)
    rows = rows.exclude(status=Status.MOVED)
    metered = metered_lines(invoice.id)
    skus = {sku for sku, _ in metered}

    def place(meter: str, start: datetime, end: datetime) -> Reconciliation:
        return Reconciliation(
            team=team, meter=meter, starts_at=start, ends_at=end, invoice=invoice.id
        )

    differ = 0
    for meter, line in metered:
        span = line.period_start, line.period_end
        ours = rows.filter(_minute_range(*span), meter=meter).aggregate(
            units=Sum("value"), micro=Sum("amount_micro")
        )
        units, cents = max(0, ours["units"] or 0), max(0, round_to_cents(ours["micro"] or 0))
        differ += _record(place(meter, *span), Scope.QUANTITY, units, line.quantity or 0)
        differ += _record(place(meter, *span), Scope.AMOUNT, cents, line.amount_cents, tolerated=1)
    span = (invoice.period_start, invoice.period_end)
    unbilled = rows.filter(period_end=invoice.period_end).exclude(meter__in=skus)
    for meter, units in unbilled.values_list("meter").order_by("meter").annotate(u=Sum("value")):
        differ += _record(place(meter, *span), Scope.QUANTITY, units, 0)
    if metered and invoice.status != "draft":
        most = sum(line.asked_cents for _, line in metered)
        covered = covered_micro(team.pk, *span, invoice.finalized_at or invoice.created)
        cents, theirs = min(most, round_to_cents(covered)), invoice.credit_cents
        whole = place(BALANCE_METER, *span)
        differ += _record(whole, Scope.CREDIT, cents, theirs, tolerated=len(metered))
    return differ


def metered_lines(invoice_id: str) -> list[tuple[str, StripeInvoiceLineData]]:
    """What an invoice asks for usage, with the SKU of each line."""
    lines = list(gateway.list_invoice_lines({}, invoice_id))
    rates = Rate.objects.filter(stripe_price_id__in=[line.price for line in lines if line.price])
    skus = dict(rates.values_list("stripe_price_id", "sku"))
    return [(skus[line.price], line) for line in lines if line.price in skus]


def _record(
    place: Reconciliation,
    scope: Reconciliation.Scope,
    ours: int,
    theirs: int,
    *,
    tolerated: int = 0,
) -> bool:
    """Store a difference at a place, or settle one that is gone; returns whether the figures
    differ by more than `tolerated`."""
    row = Reconciliation.objects.filter(
        team=place.team, meter=place.meter, scope=scope, starts_at=place.starts_at,
        invoice=place.invoice,
    ).first()  # fmt: skip
    if row is None and ours == theirs:
        return False
    if row and row.state == State.REPAIRED and (row.ours, row.theirs) == (ours, theirs):
        return False
    row = row or place
    row.scope, row.ours, row.theirs, row.checked_at = scope, ours, theirs, now()
    row.ends_at = place.ends_at
    row.state = State.OPEN if abs(row.drift) > tolerated else State.SETTLED
    row.save()
    if row.state == State.OPEN:
        units = "units" if scope == Scope.QUANTITY else "cents"
        where = f"invoice {row.invoice}" if row.invoice else row.get_scope_display()
        raise_alert(
            f"drift:{row.pk}",
            f"{row.team}, {row.meter}, {where}: we count {ours} {units}, Stripe {theirs}. "
            "See Billing, Reconciliations in the admin.",
        )
    else:
        settle_alert(f"drift:{row.pk}")
    return row.state == State.OPEN
