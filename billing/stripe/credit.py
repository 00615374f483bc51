"""Mirrors the credit of our ledger to Stripe, so that its invoices take off what ours would.

Every change of credit (a purchase, a gift, a refund, an expiry, a take-back) marks the customer's
row; `mirror_credit` then creates or withdraws grants at Stripe until its balance equals the
ledger's. It reads both balances each time, so that a lost answer, a deleted customer or another
account need no repair. A difference without such a mark is reported, not corrected.
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
    """The balance that Stripe should have: credit that is left, plus credit that covers usage which
    is not invoiced yet, less the team's debt."""
    with db_snapshot():  # So that credit that is used in this moment is not counted twice.
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
    mirrored = 0
    for row in changed.select_related("team"):
        try:
            mirror_credit(row.team)
            mirrored += 1
        except StripeFailure as failure:  # Tried again within the minute.
            logger.warning("The credit of %s was not mirrored: %s", row.team, failure)
    return mirrored


def mirror_credit(team: Team) -> int:
    """Make Stripe's balance equal to the ledger's; returns the cents by which it differed. Raises
    StripeFailure."""
    customers = StripeCustomer.objects.filter(team=team).exclude(customer_id=None)
    if not gateway.is_enabled() or not customers.exists():
        return 0
    with try_advisory_lock(f"Stripe's credit of {team.pk}") as is_ours:
        if not is_ours:
            raise StripeRateLimited
        row = customers.first()  # Under the lock, as its number is part of the next grant's key.
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

    Both balances must be of one moment: StripeRateLimited where an invoice changed meanwhile.
    """
    customer_id = StripeCustomer.objects.values_list("customer_id", flat=True).get(team=team)
    before = refresh_open_period(team)
    try:
        stripe_cents = gateway.retrieve_credit_balance_cents(str(customer_id))
    except StripeNotFound:
        row = StripeCustomer.objects.select_related("team").get(team=team)
        forget_customer(row, reason="Stripe does not know it")
        raise
    if refresh_open_period(team) != before:
        raise StripeRateLimited
    return expected_cents(team) - stripe_cents


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
    # A failure does no harm: the next comparison sees whether the grant was created.
    gateway.create_credit_grant(params, key=f"credit:{row.customer_id}:{number}")


def _withdraw(team: Team, customer_id: str, cents: int) -> None:
    """Take cents off the balance at Stripe. A grant cannot be reduced, so grants are ended, and a
    new one for the surplus is created first: after a failure in between, the next comparison
    withdraws the others."""
    grants = {
        grant.id: grant
        for grant in gateway.list_credit_grants({"customer": customer_id})
        if grant.voided_at is None and (grant.expires_at is None or grant.expires_at > now())
    }
    left_of_grants = {
        grant_id: gateway.retrieve_credit_balance_cents(customer_id, grant_id)
        for grant_id in grants
    }
    chosen = _choose_grants(left_of_grants, cents)
    surplus = sum(left_of_grants[grant_id] for grant_id in chosen) - cents
    if surplus > 0:
        _create_grant(team, StripeCustomer.objects.get(team=team), surplus)
    for grant_id in chosen:
        is_untouched = left_of_grants[grant_id] == grants[grant_id].amount_cents
        _end_grant(team, grant_id, is_untouched=is_untouched)


def _choose_grants(left_of_grants: dict[str, int], cents: int) -> list[str]:
    """The smallest grant that has enough left; without one, the largest ones that have together."""
    sizes = sorted((left, grant_id) for grant_id, left in left_of_grants.items() if left)
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
    """Void a grant that no invoice has used; expire one that was used in part."""
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
