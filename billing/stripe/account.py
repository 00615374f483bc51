"""A team's customer at Stripe, the account and mode that it belongs to, and creating its pages.

Ids of a sandbox do not exist in a live account. Ids of another account are saved in `elsewhere` of
the team's customer, so that they can be used again after going back, and new objects are created
where they are needed.
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
from billing.stripe.usage_outbox import build
from web.advisory_lock import advisory_lock_in_transaction
from web.enqueue import enqueue_on_commit

Result = TypeVar("Result")

MODELS_WITH_ACCOUNT = (Meter, StripeCustomer, StripeInvoice, Subscription, TopUp)


def current_account() -> str:
    """The account and mode of the key, such as "acct_1:live"; "" for a key that may not read its
    account. Raises StripeFailure."""
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
    """Store the account with every id, and set ids of another account aside. Repeatable."""
    account = current_account()
    is_known = not StripeCustomer.objects.exclude(account=account).exists()
    is_priced = not Rate.objects.exclude(stripe_price_id="").exclude(stripe_account=account)
    if not account or (is_known and is_priced and not Meter.objects.exclude(account=account)):
        return
    with transaction.atomic():
        advisory_lock_in_transaction("Stripe account")
        for model in MODELS_WITH_ACCOUNT:
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
    """Move a customer's ids into `elsewhere`, and use the ids it holds for `account`, if any.

    The team's subscription is deleted and its undelivered usage rows are marked dead."""
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
    ids = row.elsewhere.get(account, {})
    row.customer_id, row.account = ids.get("customer"), account or row.account
    row.generation, row.checkout_id = row.generation + 1, ""
    row.save()


@transaction.atomic
def forget_customer(row: StripeCustomer, *, by: User | None = None, reason: str) -> None:
    """Forget a customer that no longer exists at Stripe; a new one is created when needed."""
    StripeCustomer.objects.select_for_update().get(pk=row.pk)
    row.refresh_from_db()
    gone = row.customer_id
    build(row.team_id)  # What was used until now, the next subscription bills.
    _put_aside(row)
    earlier = row.elsewhere.pop(row.account, {}).get("earlier", [])
    row.elsewhere[row.account] = {"earlier": [*earlier, gone]}
    StripeCustomer.objects.filter(pk=row.pk).update(elsewhere=row.elsewhere)
    audit.record(row.team, by, "stripe.customer_forgotten", str(gone), reason=reason)


def get_or_create_customer_id(team: Team) -> str:
    """The team's customer id at Stripe, created on first use. Raises StripeFailure.

    Two callers at once get the same customer, as the idempotency key is the same for a team.
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
        # Stripe repeats both answers under their key for a day.
        rows = StripeCustomer.objects.filter(pk=team.pk, generation=row.generation)
        rows.update(generation=F("generation") + 1)
        raise
    # The new customer has no credit yet: have the ledger's mirrored.
    StripeCustomer.objects.filter(pk=team.pk, customer_id=None).update(
        customer_id=customer.id, credit_changed_at=now()
    )
    enqueue_on_commit("billing.tasks.mirror_credit")
    row.refresh_from_db()
    return row.customer_id or customer.id


def with_customer(team: Team, call: Callable[[str], Result]) -> Result:
    """Call with the team's customer id, and again with a new customer if Stripe has no such one."""
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
    **columns: object,
) -> StripeCheckoutSessionData:
    """Create a page at Stripe and store its id in `field`, with these other columns.

    `create` gets the number of the row's pages, which must be part of its idempotency key. Two
    clicks at once use the same number and get the same page. As Stripe repeats an answer under its
    key for a day, be it an expired page or a failure, each answer raises the number. After a 5xx
    answer the page is created once more. Raises StripeFailure.
    """
    rows = type(row)._default_manager.filter(pk=row.pk)
    for number in (row.checkouts, row.checkouts + 1):
        try:
            session = create(number)
        except (StripeUnreachable, StripeRateLimited):  # No answer is stored under the key.
            raise
        except StripeFailure as failure:
            rows.filter(checkouts=number).update(checkouts=number + 1)
            row.checkouts = number + 1  # For `with_customer`, which may call again.
            if not isinstance(failure, StripeServerError):
                raise
        else:
            rows.filter(checkouts=number).update(
                checkouts=number + 1, **{field: session.id}, **columns
            )
            return session
    raise StripeServerError


def return_urls(team: Team) -> dict[str, str]:
    """The addresses to which Stripe's pages lead back."""
    page = settings.PUBLIC_URL + reverse("billing:plan", args=[team.slug])
    paid = settings.PUBLIC_URL + reverse("billing:paid", args=[team.slug])
    # Stripe replaces the braces by the session's id, so they must not be encoded.
    return {"success_url": f"{paid}?session_id={{CHECKOUT_SESSION_ID}}", "cancel_url": page}


def tax_params() -> StripeParams:
    """The parameters by which Checkout collects what Stripe Tax needs; {} unless it is set up."""
    if not settings.STRIPE_AUTOMATIC_TAX:
        return {}
    return {
        "automatic_tax": {"enabled": True},
        "customer_update": {"address": "auto", "name": "auto"},
        "tax_id_collection": {"enabled": True},
    }
