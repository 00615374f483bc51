"""Which Stripe account and mode our ids belong to, and what happens when the key changes.

An id of a sandbox means nothing to a live account. What belongs to another account is put aside
with its customer, so that going back finds it again, and is made anew where it is needed.
"""

from functools import lru_cache

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import User
from billing.budgets.budget import DEFAULT_PLAN, lock_budget
from billing.models import (
    Meter,
    Plan,
    Rate,
    StripeCustomer,
    StripeInvoice,
    StripeOutbox,
    Subscription,
    TopUp,
)
from billing.stripe import gateway
from billing.stripe.errors import StripeKeyRejected
from web.advisory_lock import advisory_lock_in_transaction

KEPT = (Meter, StripeCustomer, StripeInvoice, Subscription, TopUp)  # Rows with an account.


def current_account() -> str:
    """Such as "acct_1:live"; "" for a key that may not read its account. Raises StripeFailure."""
    return _account_of(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


@lru_cache(maxsize=4)
def _account_of(key: str, api_base: str) -> str:
    try:
        account_id = gateway.retrieve_account().id
    except StripeKeyRejected:
        return ""
    return f"{account_id}:{'live' if gateway.is_live_mode() else 'test'}"


def count_foreign_rows() -> int:
    """How many customers, subscriptions and catalog entries belong to another account or mode."""
    account, count = current_account(), 0
    if not account:
        return 0
    for model in (Meter, StripeCustomer, Subscription):
        count += model._default_manager.exclude(account__in=["", account]).count()
    for catalog in (Plan, Rate):
        priced = catalog._default_manager.exclude(stripe_price_id="")
        count += priced.exclude(stripe_account__in=["", account]).count()
    return count


def adopt_account() -> None:
    """Note the account beside every id, and put aside what belongs to another. Repeatable."""
    account = current_account()
    is_known = not StripeCustomer.objects.exclude(account=account).exists()
    is_priced = not Rate.objects.exclude(stripe_price_id="").exclude(stripe_account=account)
    if not account or (is_known and is_priced and not Meter.objects.exclude(account=account)):
        return
    with transaction.atomic():
        advisory_lock_in_transaction("Stripe account")
        for model in KEPT:
            model._default_manager.filter(account="").update(account=account)
        for catalog in (Plan, Rate):
            priced = catalog._default_manager.exclude(stripe_price_id="")
            priced.filter(stripe_account="").update(stripe_account=account)
            priced.exclude(stripe_account=account).update(stripe_price_id="", stripe_account="")
        Meter.objects.exclude(account=account).delete()
        TopUp.objects.exclude(account=account).filter(status=TopUp.Status.OPEN).update(
            status=TopUp.Status.EXPIRED
        )
        for row in StripeCustomer.objects.exclude(account=account).select_related("team"):
            _put_aside(row, account)


def _put_aside(row: StripeCustomer, account: str = "") -> None:
    """Forget a customer's ids, which `elsewhere` keeps, and take those of this account from it."""
    budget = lock_budget(row.team_id)
    subscription = Subscription.objects.filter(team=row.team_id).first()
    if row.customer_id:
        row.elsewhere.setdefault(row.account, {}).update(
            customer=row.customer_id, subscription=subscription.stripe_id if subscription else ""
        )
    if subscription is not None:
        if subscription.is_in_force:
            budget.plan_id = DEFAULT_PLAN
            budget.save(update_fields=["plan"])
        subscription.delete()
    StripeOutbox.objects.undelivered().filter(team=row.team_id, customer=row.customer_id).update(
        status=StripeOutbox.Status.DEAD, last_error="of another account, mode or customer"
    )
    known = row.elsewhere.get(account, {})
    row.customer_id, row.account = known.get("customer"), account or row.account
    row.generation, row.checkout_id = row.generation + 1, ""
    row.save()


@transaction.atomic
def forget_customer(row: StripeCustomer, *, by: User | None = None, reason: str) -> None:
    """The customer does not exist (any more): a new one is made when it is needed."""
    StripeCustomer.objects.select_for_update().get(pk=row.pk)
    row.refresh_from_db()
    gone = row.customer_id
    _put_aside(row)
    earlier = row.elsewhere.pop(row.account, {}).get("earlier", [])
    row.elsewhere[row.account] = {"earlier": [*earlier, gone]}
    StripeCustomer.objects.filter(pk=row.pk).update(elsewhere=row.elsewhere)
    audit.record(row.team, by, "stripe.customer_forgotten", str(gone), reason=reason)
