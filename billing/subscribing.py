"""What people do about their plan: subscribe, look ahead, change, end, and pay at Stripe's pages.

Nothing here grants anything. A plan counts once Stripe's own state says so (subscription_state).
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.access import require
from accounts.models import Team, User
from billing import stripe_gateway as gateway
from billing.models import Plan, Rate, StripeCustomer, Subscription
from billing.stripe_errors import StripeBroken, StripeRefused
from billing.stripe_facts import InvoiceFacts
from billing.subscription_state import refresh_subscription
from web.errors import UserError

MOST_METERED = 19  # Stripe takes 20 recurring lines; one is the plan's fee.


class AlreadySubscribed(UserError):
    code, status = "already_subscribed", 409
    sentence = "This team has a subscription already. Change its plan instead of starting another."


class NotSubscribed(UserError):
    code, status = "not_subscribed", 409
    sentence = "This team has no subscription that could be changed. Choose a plan first."


class PlanNotOffered(UserError):
    code, status = "plan_not_offered", 409
    sentence = "This plan cannot be chosen. Reload the page to see the plans on offer."


class PlanNotPriced(UserError):
    code, status = "plan_not_priced", 409
    sentence = (
        "This plan has no price at Stripe yet. "
        "Whoever runs this installation should run: manage.py sync_stripe_catalog"
    )


@dataclass(frozen=True)
class Change:
    """A change of plan, as Stripe would bill it."""

    plan: Plan
    items: list[dict[str, Any]]
    preview: InvoiceFacts


def customer_of(team: Team) -> str:
    """The team's customer id at Stripe, created on first use. Raises a StripeFailure.

    Two callers at once get the same customer: the idempotency key is the team's own.
    """
    row, _ = StripeCustomer.objects.get_or_create(team=team)
    if row.customer_id:
        return row.customer_id
    params = {
        "name": team.name,
        "metadata": {"team": str(team.pk), "installation": settings.PUBLIC_URL[:500]},
    }
    try:
        made = gateway.create_customer(params, key=f"customer:{team.pk}:{row.generation}")
    except (StripeBroken, StripeRefused):  # Both answers stay under their key for a day.
        StripeCustomer.objects.filter(pk=team.pk, generation=row.generation).update(
            generation=F("generation") + 1
        )
        raise
    StripeCustomer.objects.filter(pk=team.pk, customer_id=None).update(customer_id=made.id)
    row.refresh_from_db()
    return row.customer_id or made.id


def known_customer(team: Team) -> str:
    """The team's customer id, "" while there is none."""
    row = StripeCustomer.objects.filter(team=team).first()
    return (row.customer_id if row else "") or ""


def active_subscription(team: Team) -> Subscription | None:
    """The team's subscription while its plan counts."""
    rows = Subscription.objects.in_force().filter(team=team)
    return rows.select_related("plan").first()


def start_checkout(team: Team, user: User, plan: Plan, request_id: UUID) -> str:
    """The address of Stripe's page where this plan is paid for. The same request, the same page."""
    require(user, team, "billing")
    if active_subscription(team):
        raise AlreadySubscribed
    lines = _fee(plan) + [{"price": price} for price in metered_prices()]
    if not lines:
        raise PlanNotPriced
    customer = customer_of(team)
    _close_open_checkout(team)
    made = gateway.create_session(
        _session_params(team, plan, customer, lines), key=f"checkout:{team.pk}:{request_id}"
    )
    StripeCustomer.objects.filter(pk=team.pk).update(checkout_id=made.id)
    audit.record(team, user, "plan.checkout_opened", plan.name, session=made.id)
    return made.url


def _session_params(
    team: Team, plan: Plan, customer: str, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    belongs = {"team": str(team.pk), "plan": plan.code}
    return {
        "mode": "subscription",
        "customer": customer,
        "client_reference_id": str(team.pk),
        "line_items": lines,
        "metadata": belongs,
        "subscription_data": {"metadata": belongs},
        **return_addresses(team),
        **tax_params(),
    }


def _fee(plan: Plan) -> list[dict[str, Any]]:
    if not plan.is_offered:
        raise PlanNotOffered
    if plan.monthly_cents and not plan.stripe_price_id:
        raise PlanNotPriced
    return [{"price": plan.stripe_price_id, "quantity": 1}] if plan.monthly_cents else []


def metered_prices() -> list[str]:
    """The prices at Stripe of everything that is metered today."""
    priced = Rate.objects.filter(valid__contains=now()).exclude(stripe_price_id="")
    return list(priced.order_by("sku").values_list("stripe_price_id", flat=True)[:MOST_METERED])


def _close_open_checkout(team: Team) -> None:
    """Two open pages would be two subscriptions. One that was paid this instant stays paid."""
    row = StripeCustomer.objects.get(pk=team.pk)
    if not row.checkout_id:
        return
    before = gateway.session(row.checkout_id)
    if before.status == "open":
        gateway.expire_session(row.checkout_id)
    elif before.subscription and not _is_over(before.subscription):
        raise AlreadySubscribed(
            "This team has just subscribed. Reload the page in a moment to see its plan."
        )


def _is_over(subscription_id: str) -> bool:
    return gateway.subscription(subscription_id).status in Subscription.OVER


def return_addresses(team: Team) -> dict[str, str]:
    """Where Stripe's pages lead back to."""
    page = settings.PUBLIC_URL + reverse("billing:plan", args=[team.slug])
    paid = settings.PUBLIC_URL + reverse("billing:paid", args=[team.slug])
    # Stripe puts the id in the place of the braces, which must therefore stay as they are.
    return {"success_url": f"{paid}?session_id={{CHECKOUT_SESSION_ID}}", "cancel_url": page}


def tax_params() -> dict[str, Any]:
    """What Checkout asks for so that Stripe Tax can compute; nothing unless it is set up."""
    if not settings.STRIPE_AUTOMATIC_TAX:
        return {}
    return {
        "automatic_tax": {"enabled": True},
        "customer_update": {"address": "auto", "name": "auto"},
        "tax_id_collection": {"enabled": True},
    }


def _subscribed(team: Team) -> Subscription:
    subscription = active_subscription(team)
    if subscription is None:
        raise NotSubscribed
    return subscription


def look_ahead(team: Team, plan: Plan) -> Change:
    """The next invoice if the plan were changed now, as Stripe computes it."""
    subscription = _subscribed(team)
    items = _changed_items(subscription, plan)
    preview = gateway.preview_invoice(
        {
            "customer": subscription.customer_id,
            "subscription": subscription.stripe_id,
            "subscription_details": {"items": items, "proration_behavior": "create_prorations"},
        }
    )
    return Change(plan, items, preview)


def next_invoice(team: Team) -> InvoiceFacts | None:
    """The next invoice as it stands; None without a subscription that goes on."""
    subscription = active_subscription(team)
    if subscription is None or subscription.cancel_at:
        return None
    return gateway.preview_invoice(
        {"customer": subscription.customer_id, "subscription": subscription.stripe_id}
    )


def _changed_items(subscription: Subscription, plan: Plan) -> list[dict[str, Any]]:
    if plan.pk == subscription.plan_id:
        raise PlanNotOffered("This team is on that plan already.")
    fee = _fee(plan)
    if not subscription.plan_item_id:
        return fee
    item: dict[str, Any] = {"id": subscription.plan_item_id}
    return [item | fee[0]] if fee else [item | {"deleted": True}]


def change_plan(team: Team, user: User, plan: Plan, request_id: UUID) -> Subscription:
    """Move to another plan now; Stripe credits what is left of the old one. Repeatable."""
    require(user, team, "billing")
    subscription = _subscribed(team)
    params = {
        "items": _changed_items(subscription, plan),
        "proration_behavior": "create_prorations",
        "metadata": {"team": str(team.pk), "plan": plan.code},
    }
    before = subscription.plan_id
    after = _update(subscription, params, f"plan:{team.pk}:{request_id}")
    audit.record(team, user, "plan.changed", plan.name, old=before, new=plan.code)
    return after


def end_subscription(team: Team, user: User, request_id: UUID) -> Subscription:
    """End it with the period that is paid for."""
    require(user, team, "billing")
    params = {"cancel_at_period_end": True}
    after = _update(_subscribed(team), params, f"end:{team.pk}:{request_id}")
    audit.record(team, user, "plan.ending", after.plan.name, at=str(after.cancel_at))
    return after


def keep_subscription(team: Team, user: User, request_id: UUID) -> Subscription:
    """Take back the wish to end it."""
    require(user, team, "billing")
    params = {"cancel_at_period_end": False}
    after = _update(_subscribed(team), params, f"keep:{team.pk}:{request_id}")
    audit.record(team, user, "plan.kept", after.plan.name)
    return after


def _update(subscription: Subscription, params: dict[str, Any], key: str) -> Subscription:
    gateway.update_subscription(subscription.stripe_id, params, key=key)
    # Fetched anew: a repeated request is answered with what was true the first time.
    return refresh_subscription(subscription.stripe_id) or subscription


def follow_prices(subscription: Subscription) -> None:
    """Move its metered lines to today's prices, and add meters that are new. Repeatable.

    Called when a period has just begun, so that no period is billed at two prices.
    """
    sku_of = dict(Rate.objects.exclude(stripe_price_id="").values_list("stripe_price_id", "sku"))
    has = {sku_of.get(price): item for price, item in subscription.metered_items.items()}
    wanted = [price for price in metered_prices() if price not in subscription.metered_items]
    changes = [
        {"id": has[sku_of[price]], "price": price} if sku_of[price] in has else {"price": price}
        for price in wanted
    ]
    if changes and subscription.is_in_force:
        params = {"items": changes, "proration_behavior": "none"}
        _update(subscription, params, f"prices:{subscription.stripe_id}:{'+'.join(wanted)}"[:255])


def portal_url(team: Team, user: User) -> str:
    """The address of Stripe's own pages about the team's cards, addresses and invoices."""
    require(user, team, "billing")
    page = settings.PUBLIC_URL + reverse("billing:plan", args=[team.slug])
    return gateway.portal_url({"customer": customer_of(team), "return_url": page})
