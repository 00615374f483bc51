"""A team's customer at Stripe, the account and mode that it belongs to, and opening its pages.

An id of a sandbox means nothing to a live account. What belongs to another account is put aside
with its customer, so that going back finds it again, and is made anew where it is needed.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
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
from billing.stripe.dtos import StripeCheckoutSessionData, StripeParams
from billing.stripe.errors import (
    StripeFailure,
    StripeKeyRejected,
    StripeNotFound,
    StripeRateLimited,
    StripeRequestRejected,
    StripeServerError,
    StripeUnreachable,
)
from web.advisory_lock import advisory_lock_in_transaction
from web.enqueue import enqueue_on_commit

Made = TypeVar("Made")

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


def get_or_create_customer_id(team: Team) -> str:
    """The team's customer id at Stripe, created on first use. Raises a StripeFailure.

    Two callers at once get the same customer: the idempotency key is the team's own.
    """
    adopt_account()
    row, _ = StripeCustomer.objects.get_or_create(
        team=team, defaults={"account": current_account()}
    )
    if row.customer_id:
        return row.customer_id
    params = {
        "name": team.name,
        "metadata": {"team": str(team.pk), "installation": settings.PUBLIC_URL[:500]},
    }
    try:
        customer = gateway.create_customer(params, key=f"customer:{team.pk}:{row.generation}")
    except (StripeServerError, StripeRequestRejected):
        # Both answers stay under their key for a day.
        rows = StripeCustomer.objects.filter(pk=team.pk, generation=row.generation)
        rows.update(generation=F("generation") + 1)
        raise
    # What the ledger has is new to this customer.
    StripeCustomer.objects.filter(pk=team.pk, customer_id=None).update(
        customer_id=customer.id, credit_changed_at=now()
    )
    enqueue_on_commit("billing.tasks.mirror_credit")
    row.refresh_from_db()
    return row.customer_id or customer.id


def with_customer(team: Team, call: Callable[[str], Made]) -> Made:
    """Call with the team's customer, and once more with a new one if Stripe does not know it."""
    customer = get_or_create_customer_id(team)
    try:
        return call(customer)
    except StripeNotFound as refusal:
        if refusal.param != "customer":
            raise
        forget_customer(StripeCustomer.objects.get(team=team), reason=refusal.reason)
        return call(get_or_create_customer_id(team))


def create_page(
    row: StripeCustomer | TopUp,
    field: str,
    create: Callable[[int], StripeCheckoutSessionData],
    **facts: object,
) -> StripeCheckoutSessionData:
    """Create a page at Stripe under a key with the number of the row's pages; store its id.

    Two clicks at once use one number and get one page. Stripe repeats its answers for a day, a
    page that has expired and failures too, so each answer raises the number. After a failure of
    Stripe's own it is tried once more.
    """
    rows = type(row)._default_manager.filter(pk=row.pk)
    for number in (row.checkouts, row.checkouts + 1):
        try:
            made = create(number)
        except (StripeUnreachable, StripeRateLimited):  # Nothing was answered, so nothing is kept.
            raise
        except StripeFailure as failure:
            rows.filter(checkouts=number).update(checkouts=number + 1)
            row.checkouts = number + 1  # Whoever tries again, with another customer, goes on there.
            if not isinstance(failure, StripeServerError):
                raise
        else:
            rows.filter(checkouts=number).update(checkouts=number + 1, **{field: made.id}, **facts)
            return made
    raise StripeServerError


def return_urls(team: Team) -> dict[str, str]:
    """Where Stripe's pages lead back to."""
    page = settings.PUBLIC_URL + reverse("billing:plan", args=[team.slug])
    paid = settings.PUBLIC_URL + reverse("billing:paid", args=[team.slug])
    # Stripe puts the id in the place of the braces, which must therefore stay as they are.
    return {"success_url": f"{paid}?session_id={{CHECKOUT_SESSION_ID}}", "cancel_url": page}


def tax_params() -> StripeParams:
    """What Stripe Tax needs Checkout to collect; nothing unless it is set up."""
    if not settings.STRIPE_AUTOMATIC_TAX:
        return {}
    return {
        "automatic_tax": {"enabled": True},
        "customer_update": {"address": "auto", "name": "auto"},
        "tax_id_collection": {"enabled": True},
    }
