"""Stripe's credit balance follows our ledger: its invoices take off what our statement does.

Whatever moves credit (a purchase, a gift, a refund, an expiry, a take-back) marks the customer
row; `mirror_credit` then makes or withdraws grants at Stripe until its balance is what the ledger
says. It reads both sides anew each time: a lost answer, a deleted customer or another account
correct themselves. A difference that nothing of ours explains is not corrected but reported.
"""

import logging
from contextlib import suppress

from django.db.models import F
from django.utils.timezone import now

from accounts.models import Team
from billing.credit.open_usage import unbilled_credit_micro
from billing.db_snapshot import db_snapshot
from billing.models import Budget, CreditGrant, StripeCustomer
from billing.money import round_to_cents
from billing.stripe import gateway
from billing.stripe.account import forget_customer
from billing.stripe.errors import (
    StripeFailure,
    StripeNotFound,
    StripeRateLimited,
    StripeRequestRejected,
)
from billing.stripe.operator_alerts import raise_alert
from billing.stripe.sync import refresh_open_period
from web.advisory_lock import try_advisory_lock

logger = logging.getLogger(__name__)


def expected_cents(team: Team) -> int:
    """What Stripe should hold: what is left, and what covers usage that it has not invoiced."""
    with db_snapshot():  # Credit that is being used must not count on both sides.
        left = CreditGrant.objects.filter(team=team).usable(now()).total_left_micro()
        owed = sum(Budget.objects.filter(pk=team.pk).values_list("debt_micro", flat=True))
        micro = left + unbilled_credit_micro(team.pk) - owed
    return max(0, round_to_cents(micro))


def mirror_due() -> int:
    """Mirror every team whose credit has changed; returns how many. Repeatable."""
    if not gateway.is_enabled():
        return 0
    changed = StripeCustomer.objects.filter(
        credit_changed_at__isnull=False, customer_id__isnull=False
    )
    done = 0
    for row in changed.select_related("team"):
        try:
            mirror_credit(row.team)
            done += 1
        except StripeFailure as failure:  # Tried again within the minute.
            logger.warning("The credit of %s was not mirrored: %s", row.team, failure)
    return done


def mirror_credit(team: Team) -> int:
    """Make Stripe's balance the ledger's; returns the cents by which it differed."""
    customers = StripeCustomer.objects.filter(team=team).exclude(customer_id=None)
    if not gateway.is_enabled() or not customers.exists():
        return 0
    with try_advisory_lock(f"Stripe's credit of {team.pk}") as is_ours:
        if not is_ours:
            raise StripeRateLimited
        row = customers.first()  # Not before: its number is part of the next grant's key.
        if row is None:
            return 0
        changed_at = row.credit_changed_at
        drift = compare_credit(team)
        if drift > 0:
            _create_grant(team, row, drift)
        elif drift < 0:
            _withdraw(team, str(row.customer_id), -drift)
        customer = StripeCustomer.objects.filter(pk=row.pk)
        customer.filter(credit_changed_at=changed_at).update(credit_changed_at=None)
    return drift


def compare_credit(team: Team) -> int:
    """The cents that the ledger has more than Stripe. Raises StripeFailure.

    Stripe may finalize an invoice while we look: both sides must be of one moment.
    """
    customer_id = StripeCustomer.objects.values_list("customer_id", flat=True).get(team=team)
    before = refresh_open_period(team)
    try:
        theirs = gateway.retrieve_credit_balance_cents(str(customer_id))
    except StripeNotFound:
        row = StripeCustomer.objects.select_related("team").get(team=team)
        forget_customer(row, reason="Stripe does not know it")
        raise
    if refresh_open_period(team) != before:
        raise StripeRateLimited
    return expected_cents(team) - theirs


def _create_grant(team: Team, row: StripeCustomer, cents: int) -> None:
    number = str(row.credit_grants)
    newest = CreditGrant.objects.filter(team=team).order_by("-pk").first()
    is_paid = newest is not None and newest.kind == CreditGrant.Kind.PAID
    params = {
        "customer": row.customer_id,
        "name": newest.note[:100] if newest else "Credit",
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": cents}},
        "applicability_config": {"scope": {"price_type": "metered"}},
        "category": "paid" if is_paid else "promotional",
        "metadata": {"team": str(team.pk), "number": number},
    }
    StripeCustomer.objects.filter(pk=row.pk).update(credit_grants=F("credit_grants") + 1)
    # A failure here is no harm: the next comparison sees whether the grant was made.
    gateway.create_credit_grant(params, key=f"credit:{row.customer_id}:{number}")


def _withdraw(team: Team, customer_id: str, cents: int) -> None:
    """Take cents off what Stripe holds. No grant can be reduced, so a new one takes its place,
    made first: whatever fails in between, the next comparison withdraws the others."""
    grants = {
        grant.id: grant
        for grant in gateway.list_credit_grants({"customer": customer_id})
        if grant.voided_at is None and (grant.expires_at is None or grant.expires_at > now())
    }
    held = {
        grant_id: gateway.retrieve_credit_balance_cents(customer_id, grant_id)
        for grant_id in grants
    }
    chosen = _choose(held, cents)
    rest = sum(held[grant_id] for grant_id in chosen) - cents
    if rest > 0:
        _create_grant(team, StripeCustomer.objects.get(team=team), rest)
    for grant_id in chosen:
        _end_grant(team, grant_id, is_untouched=held[grant_id] == grants[grant_id].amount_cents)


def _choose(held: dict[str, int], cents: int) -> list[str]:
    """One grant that is large enough, the smallest such; else several, the largest first."""
    sizes = sorted((left, grant_id) for grant_id, left in held.items() if left)
    for left, grant_id in sizes:
        if left >= cents:
            return [grant_id]
    chosen: list[str] = []
    while cents > 0 and sizes:
        left, grant_id = sizes.pop()
        chosen.append(grant_id)
        cents -= left
    return chosen


def _end_grant(team: Team, grant_id: str, *, is_untouched: bool) -> None:
    """Void what no invoice has used; expire what an invoice has left."""
    try:
        if is_untouched:
            with suppress(StripeRequestRejected):  # An invoice used it this instant.
                gateway.void_credit_grant(grant_id)
                return
        gateway.expire_credit_grant(grant_id)
    except StripeRequestRejected as refused:
        raise_alert(
            f"credit-grant:{grant_id}",
            f"Credit was taken back from {team.name}, but Stripe still counts its grant {grant_id} "
            f"({refused.reason}). Take it back in Stripe's dashboard.",
        )
