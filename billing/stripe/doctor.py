"""Checks that this installation and its Stripe account match, and keeps the catalog up to date."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from billing.models import Meter, OperatorAlert, Plan, Rate, Subscription, WebhookEvent
from billing.stripe import gateway
from billing.stripe.account import count_foreign_rows, current_account
from billing.stripe.catalog import sync_catalog
from billing.stripe.errors import StripeFailure
from billing.stripe.operator_alerts import raise_alert, settle_alert
from billing.stripe.subscriptions import update_metered_items
from billing.stripe.webhooks.handlers import SNAPSHOT_HANDLERS

ACCOUNT_ALERT, CATALOG_ALERT = "stripe-account", "stripe-catalog"


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    is_ok: bool
    sentence: str


def run_checks() -> Iterator[Check]:
    """All checks; only the first ones without a working key, which the others need."""
    if not gateway.is_enabled():
        yield Check(True, "No STRIPE_SECRET_KEY: local mode, the ledger alone. That works.")
        return
    try:
        account_id, version = gateway.retrieve_account().id, gateway.api_version()
        mode = "live: real" if gateway.is_live_mode() else "test mode: no real"
        yield Check(
            True, f"The key opens {account_id}, {mode} money moves, with API version {version}."
        )
        yield _check_account()
        yield from _check_catalog()
        yield from _check_endpoints()
    except StripeFailure as failure:
        yield Check(False, failure.sentence)
        return
    yield from _check_local_state()


def keep_catalog() -> int:
    """Bring Stripe's catalog and subscriptions up to date; returns how many objects were created.

    Rates and plans change in the admin and with an upgrade. Ids of another account are only set
    aside by hand (sync_stripe_catalog), as that ends the plans that were paid there.
    """
    if not gateway.is_enabled():
        return 0
    try:
        if not (account := _check_account()).is_ok:
            raise_alert(ACCOUNT_ALERT, account.sentence)
            return 0
        changes = len(sync_catalog())
        for row in Subscription.objects.in_force() if changes else ():
            update_metered_items(row)
    except StripeFailure as failure:
        raise_alert(
            CATALOG_ALERT,
            f"Plans and rates could not be written to Stripe's catalog: {failure} It is tried again"
            " every 15 minutes; what has no price there is billed by its amount.",
        )
        return 0
    settle_alert(ACCOUNT_ALERT)
    settle_alert(CATALOG_ALERT)
    return changes


def _check_account() -> Check:
    """Whether all stored ids belong to the account and mode of the key."""
    foreign = count_foreign_rows()
    if foreign:
        return Check(
            False,
            f"{foreign} customers, subscriptions, meters and prices belong to another account or "
            "mode than this key. Run sync_stripe_catalog: they are put aside and made anew.",
        )
    return Check(True, f"Every id of ours belongs to {current_account() or 'this key'}.")


def _check_catalog() -> Iterator[Check]:
    unpriced = [plan.name for plan in Plan.objects.filter(monthly_cents__gt=0, stripe_price_id="")]
    rates = Rate.objects.in_force()
    unpriced += [rate.sku for rate in rates if not rate.stripe_price_id]
    active = gateway.list_active_meters()
    event_names = Meter.objects.values_list("event_name", flat=True)
    unpriced += [name for name in event_names if name not in active]
    if unpriced:
        names = ", ".join(unpriced)
        yield Check(False, f"Not in Stripe's catalog: {names}. Run sync_stripe_catalog.")
    else:
        yield Check(True, "Every plan, rate and meter is in Stripe's catalog.")


def _check_endpoints() -> Iterator[Check]:
    address = f"{settings.PUBLIC_URL}/stripe/webhook/"
    ours = [each for each in gateway.list_webhook_endpoints({}) if each.url == address]
    if not ours:
        yield Check(
            False,
            f"No webhook endpoint at Stripe points to {address}. Make one with "
            f"api_version={gateway.api_version()}, or forward with `stripe listen` while testing.",
        )
    for endpoint in ours:
        version = endpoint.api_version
        if version != gateway.api_version():
            made_for = version or "the account's default version"
            yield Check(
                False,
                f"The webhook endpoint was made for {made_for}; its events will be refused. "
                f"Make it anew with api_version={gateway.api_version()}.",
            )
        is_all = "*" in endpoint.enabled_events
        missing = [] if is_all else sorted(SNAPSHOT_HANDLERS.keys() - endpoint.enabled_events)
        if missing:
            yield Check(False, f"The webhook endpoint does not send: {', '.join(missing)}.")
        elif version == gateway.api_version():
            yield Check(True, "The webhook endpoint sends every event that we act on.")


def _check_local_state() -> Iterator[Check]:
    for name in ("STRIPE_WEBHOOK_SECRETS", "STRIPE_THIN_WEBHOOK_SECRETS"):
        is_set = bool(getattr(settings, name))
        yield Check(
            is_set, f"{name} is set." if is_set else f"{name} is empty: messages are refused."
        )
    unhappy = WebhookEvent.objects.filter(status__in=["refused", "failed"]).count()
    if unhappy:
        yield Check(False, f"{unhappy} of Stripe's messages were not carried out: see the admin.")
    if alerts := OperatorAlert.objects.filter(settled_at=None).count():
        yield Check(False, f"{alerts} alerts are not settled: see the admin.")
