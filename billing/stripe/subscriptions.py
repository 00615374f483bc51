"""Subscribing to a plan, previewing and making changes, cancelling, and Stripe's portal.

Nothing here gives a team a plan: `stripe.sync` does, when Stripe's state says that it is in force.
"""

import hashlib
import json
import logging
from contextlib import suppress
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.urls import reverse

from accounts import audit
from accounts.models import Membership, Team, User
from accounts.permissions import require_permission
from billing.models import Plan, Rate, StripeCustomer, StripeOutbox, Subscription
from billing.stripe import gateway
from billing.stripe.account import create_page, return_urls, tax_params, with_customer
from billing.stripe.dtos import StripeInvoiceData, StripeParams
from billing.stripe.errors import StripeFailure, StripeNotFound, StripeServerError
from billing.stripe.operator_alerts import raise_alert, settle_alert
from billing.stripe.sync import refresh_subscription
from web.errors import UserError

logger = logging.getLogger(__name__)
MAX_METERED_ITEMS = 19  # Stripe allows 20 recurring lines; one is the plan's fee.


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


def active_subscription(team: Team) -> Subscription | None:
    """The team's subscription if it is in force; else None."""
    rows = Subscription.objects.in_force().filter(team=team)
    return rows.select_related("plan").first()


def start_checkout(team: Team, user: User, plan: Plan, request_id: UUID) -> str:
    """The address of Stripe's page where this plan is paid for.

    An open page for the plan is reused, for example after a double click. A subscription that is
    not in force, such as an unpaid one, is ended first. Raises AlreadySubscribed, PlanNotOffered,
    PlanNotPriced and StripeFailure.
    """
    require_permission(user, team, "billing")
    if active_subscription(team):
        raise AlreadySubscribed
    lines = _fee_line_items(plan) + [{"price": price} for price in metered_prices()]
    if not lines:
        raise PlanNotPriced
    end_dead_subscription(team, user)
    return with_customer(
        team, lambda customer: _open_checkout(team, user, plan, request_id, customer, lines)
    )


def _open_checkout(
    team: Team, user: User, plan: Plan, request_id: UUID, customer: str, lines: list[StripeParams]
) -> str:
    if url := _reuse_or_expire_checkout(team, plan):
        return url
    metadata = {"team": str(team.pk), "plan": plan.code}
    params: StripeParams = {
        "mode": "subscription",
        "customer": customer,
        "client_reference_id": str(team.pk),
        "line_items": lines,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        **return_urls(team),
        **tax_params(),
    }
    key = f"checkout:{team.pk}:{plan.code}:{request_id}"
    session = create_page(
        StripeCustomer.objects.get(pk=team.pk),
        "checkout_id",
        lambda number: gateway.create_checkout_session(params, key=f"{key}:{number}"),
    )
    audit.record(team, user, "plan.checkout_opened", plan.name, session=session.id)
    return session.url


def end_deserted() -> int:
    """End the subscriptions of teams whose last member deleted their account; returns how many.

    Nobody can end them any more. Like others they end with the paid period, so that what was used
    is billed once; one that is not paid for ends now. Repeatable.
    """
    if not gateway.is_enabled():
        return 0
    members = Membership.objects.filter(team=OuterRef("team"))
    deserted = Subscription.objects.open().filter(~Exists(members), cancel_at=None)
    return sum(_end_deserted(row) for row in deserted.select_related("team", "plan"))


def _end_deserted(row: Subscription) -> bool:
    try:
        if row.is_unpaid:
            end_dead_subscription(row.team, None)
        else:
            params, key = {"cancel_at_period_end": True}, f"end-deserted:{row.stripe_id}"
            after = _update_subscription(row, params, key)
            audit.record(row.team, None, "plan.ending", after.plan.name, at=str(after.cancel_at))
    except StripeFailure as failure:
        raise_alert(
            f"deserted:{row.stripe_id}",
            f"Nobody belongs to {row.team} any more, and its subscription {row.stripe_id} could not"
            f" be ended: {failure} End it in Stripe.",
        )
        return False
    settle_alert(f"deserted:{row.stripe_id}")
    return True


def end_dead_subscription(team: Team, user: User | None) -> None:
    """End a subscription that is not in force and has not ended, such as an unpaid one."""
    row = Subscription.objects.filter(team=team).first()
    if row is None or row.is_in_force or row.status in Subscription.ENDED:
        return
    with suppress(StripeNotFound):  # Gone already.
        gateway.cancel_subscription(row.stripe_id, {}, key=f"end-dead:{row.stripe_id}")
    refresh_subscription(row.stripe_id)
    audit.record(team, user, "plan.ended", row.plan.name, was=row.status)


def _fee_line_items(plan: Plan) -> list[StripeParams]:
    if not plan.is_offered:
        raise PlanNotOffered
    if plan.monthly_cents and not plan.stripe_price_id:
        raise PlanNotPriced
    return [{"price": plan.stripe_price_id, "quantity": 1}] if plan.monthly_cents else []


def metered_prices() -> list[str]:
    """The prices at Stripe of everything that is metered today."""
    priced = Rate.objects.in_force().exclude(stripe_price_id="")
    return list(
        priced.order_by("sku").values_list("stripe_price_id", flat=True)[:MAX_METERED_ITEMS]
    )


def _reuse_or_expire_checkout(team: Team, plan: Plan) -> str:
    """The address of the open page for this plan, or ""; a page for another plan is expired, as two
    open pages could become two subscriptions. Raises AlreadySubscribed where it was just paid.
    """
    row = StripeCustomer.objects.get(pk=team.pk)
    if not row.checkout_id:
        return ""
    try:
        session = gateway.retrieve_checkout_session(row.checkout_id)
    except StripeNotFound:
        return ""
    if session.status == "open" and session.metadata.get("plan") == plan.code:
        return session.url
    if session.status == "open":
        gateway.expire_checkout_session(row.checkout_id)
    elif session.subscription:
        current = refresh_subscription(session.subscription)
        if current is not None and current.is_in_force:
            raise AlreadySubscribed(
                "This team has just subscribed. Reload the page in a moment to see its plan."
            )
    return ""


def _require_subscription(team: Team) -> Subscription:
    subscription = active_subscription(team)
    if subscription is None:
        raise NotSubscribed
    return subscription


def preview_change(team: Team, plan: Plan) -> StripeInvoiceData:
    """The next invoice if the plan were changed now, as Stripe computes it."""
    subscription = _require_subscription(team)
    items = _changed_items(subscription, plan)
    return gateway.preview_invoice(
        {
            "customer": subscription.customer_id,
            "subscription": subscription.stripe_id,
            "subscription_details": {"items": items, "proration_behavior": "create_prorations"},
        }
    )


def preview_next_invoice(team: Team) -> StripeInvoiceData | None:
    """The next invoice so far; None without a subscription that renews."""
    subscription = active_subscription(team)
    if subscription is None or subscription.cancel_at:
        return None
    return gateway.preview_invoice(
        {"customer": subscription.customer_id, "subscription": subscription.stripe_id}
    )


def _changed_items(subscription: Subscription, plan: Plan) -> list[StripeParams]:
    if plan.pk == subscription.plan_id:
        raise PlanNotOffered("This team is on that plan already.")
    fee = _fee_line_items(plan)
    if not subscription.plan_item_id:
        return fee
    change: StripeParams = fee[0] if fee else {"deleted": True}
    return [{"id": subscription.plan_item_id, **change}]


def change_plan(team: Team, user: User, plan: Plan, request_id: UUID) -> Subscription:
    """Change to another plan now; Stripe credits the unused time of the old one. Repeatable."""
    require_permission(user, team, "billing")
    subscription = _require_subscription(team)
    params = {
        "items": _changed_items(subscription, plan),
        "proration_behavior": "create_prorations",
        "metadata": {"team": str(team.pk), "plan": plan.code},
    }
    before = subscription.plan_id
    after = _update_subscription(subscription, params, f"plan:{team.pk}:{request_id}")
    audit.record(team, user, "plan.changed", plan.name, old=before, new=plan.code)
    return after


def cancel_at_period_end(team: Team, user: User, request_id: UUID) -> Subscription | None:
    """Let the subscription end with its paid period; one that is not in force ends now, and None is
    returned."""
    require_permission(user, team, "billing")
    if active_subscription(team) is None and Subscription.objects.open().filter(team=team).exists():
        end_dead_subscription(team, user)
        return None
    params, key = {"cancel_at_period_end": True}, f"end:{team.pk}:{request_id}"
    after = _update_subscription(_require_subscription(team), params, key)
    audit.record(team, user, "plan.ending", after.plan.name, at=str(after.cancel_at))
    return after


def undo_cancellation(team: Team, user: User, request_id: UUID) -> Subscription:
    """Let a cancelled subscription renew."""
    require_permission(user, team, "billing")
    params, key = {"cancel_at_period_end": False}, f"keep:{team.pk}:{request_id}"
    after = _update_subscription(_require_subscription(team), params, key)
    audit.record(team, user, "plan.kept", after.plan.name)
    return after


def _update_subscription(
    subscription: Subscription, params: StripeParams, key: str
) -> Subscription:
    try:
        gateway.update_subscription(subscription.stripe_id, params, key=key)
    except StripeServerError:  # Repeated under its key for a day; the change is repeatable.
        gateway.update_subscription(subscription.stripe_id, params, key=f"{key}:1")
    try:
        # Fetched again, as the answer to a repeated request is that of the first one.
        return refresh_subscription(subscription.stripe_id) or subscription
    except StripeFailure as failure:  # The change was made; an event will report it.
        logger.warning("%s was changed and could not be read: %s", subscription, failure)
        return subscription


def update_metered_items(subscription: Subscription, *, is_period_new: bool = False) -> None:
    """Add the meters that a subscription lacks. Repeatable, at any time.

    When a period has just begun, its lines also get today's prices, so that no period is billed at
    two prices. A line that has already counted usage of the period keeps its price.
    """
    sku_of = dict(Rate.objects.exclude(stripe_price_id="").values_list("stripe_price_id", "sku"))
    item_of = {sku_of.get(price): item for price, item in subscription.metered_items.items()}
    new = [price for price in metered_prices() if price not in subscription.metered_items]
    fixed = item_of.keys() & _counted_skus(subscription) if is_period_new else item_of.keys()
    new = [price for price in new if sku_of[price] not in fixed]
    changes = [
        {"id": item_of[sku_of[price]], "price": price}
        if sku_of[price] in item_of
        else {"price": price}
        for price in new
    ]
    if changes and subscription.is_in_force:
        params = {"items": changes, "proration_behavior": "none"}
        digest = hashlib.sha256(json.dumps(changes).encode()).hexdigest()
        key = f"prices:{subscription.stripe_id}:{digest}"
        _update_subscription(subscription, params, key)


def _counted_skus(subscription: Subscription) -> set[str]:
    """The SKUs of usage that the subscription has counted in its period so far."""
    rows = StripeOutbox.objects.filter(
        subscription=subscription.stripe_id,
        minute__gte=int(subscription.period_start.timestamp()) // 60,
    )
    return set(rows.exclude(status=StripeOutbox.Status.MOVED).values_list("meter", flat=True))


def open_portal(team: Team, user: User) -> str:
    """The address of Stripe's portal for the team's cards, addresses and invoices."""
    require_permission(user, team, "billing")
    page = settings.PUBLIC_URL + reverse("billing:plan", args=[team.slug])
    return with_customer(
        team,
        lambda customer: (
            gateway.create_portal_session({"customer": customer, "return_url": page}).url
        ),
    )
