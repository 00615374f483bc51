"""A team's customer at Stripe, and opening Stripe's pages for it once, whatever fails."""

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db.models import F
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team
from billing.models import StripeCustomer, TopUp
from billing.stripe import gateway
from billing.stripe.account import adopt_account, current_account, forget_customer
from billing.stripe.dtos import StripeCheckoutSessionData, StripeParams
from billing.stripe.errors import (
    StripeFailure,
    StripeNotFound,
    StripeRateLimited,
    StripeRequestRejected,
    StripeServerError,
    StripeUnreachable,
)
from web.enqueue import enqueue_on_commit

Made = TypeVar("Made")


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


def find_customer_id(team: Team) -> str:
    """The team's customer id, "" while there is none."""
    row = StripeCustomer.objects.filter(team=team).first()
    return (row.customer_id if row else "") or ""


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
