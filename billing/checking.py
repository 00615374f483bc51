"""Whether this installation and its Stripe account fit together, in plain sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils.timezone import now

from billing import stripe_gateway as gateway
from billing.models import Meter, OperatorAlert, Plan, Rate, WebhookEvent
from billing.stripe_errors import StripeFailure
from billing.webhooks.effects import SNAPSHOT_EFFECTS


@dataclass(frozen=True)
class Finding:
    is_good: bool
    sentence: str


def findings() -> Iterator[Finding]:
    """One after the other; without a working key nothing else can be seen."""
    if not gateway.is_on():
        yield Finding(True, "No STRIPE_SECRET_KEY: local mode, the ledger alone. That works.")
        return
    try:
        yield _key()
        yield from _catalog()
        yield from _endpoints()
    except StripeFailure as failure:
        yield Finding(False, failure.sentence)
        return
    yield from _ourselves()


def _key() -> Finding:
    account = gateway.account()
    mode = "live: real money moves" if gateway.is_live() else "test mode: no real money moves"
    return Finding(
        True, f"The key opens {account['id']}, {mode}, with API version {gateway.api_version()}."
    )


def _catalog() -> Iterator[Finding]:
    unpriced = [plan.name for plan in Plan.objects.filter(monthly_cents__gt=0, stripe_price_id="")]
    rates = Rate.objects.filter(valid__contains=now())
    unpriced += [rate.sku for rate in rates if not rate.stripe_price_id]
    active = {meter.event_name for meter in gateway.meters() if meter.is_active}
    unpriced += [
        meter.event_name for meter in Meter.objects.all() if meter.event_name not in active
    ]
    if unpriced:
        names = ", ".join(unpriced)
        yield Finding(False, f"Not in Stripe's catalog: {names}. Run sync_stripe_catalog.")
    else:
        yield Finding(True, "Every plan, rate and meter is in Stripe's catalog.")


def _endpoints() -> Iterator[Finding]:
    address = f"{settings.PUBLIC_URL}/stripe/webhook/"
    ours = [one for one in gateway.webhook_endpoints() if one["url"] == address]
    if not ours:
        yield Finding(
            False,
            f"No webhook endpoint at Stripe points to {address}. Make one with "
            f"api_version={gateway.api_version()}, or forward with `stripe listen` while testing.",
        )
    for endpoint in ours:
        yield from _endpoint(endpoint["api_version"], set(endpoint["enabled_events"]))


def _endpoint(version: str | None, heard: set[str]) -> Iterator[Finding]:
    if version != gateway.api_version():
        made_for = version or "the account's default version"
        yield Finding(
            False,
            f"The webhook endpoint was made for {made_for}; its events will be refused. "
            f"Make it anew with api_version={gateway.api_version()}.",
        )
    missing = sorted(set(SNAPSHOT_EFFECTS) - heard)
    if missing and "*" not in heard:
        yield Finding(False, f"The webhook endpoint does not send: {', '.join(missing)}.")
    if version == gateway.api_version() and ("*" in heard or not missing):
        yield Finding(True, "The webhook endpoint sends every event that we act on.")


def _ourselves() -> Iterator[Finding]:
    for name in ("STRIPE_WEBHOOK_SECRETS", "STRIPE_THIN_WEBHOOK_SECRETS"):
        is_set = bool(getattr(settings, name))
        yield Finding(
            is_set, f"{name} is set." if is_set else f"{name} is empty: messages are refused."
        )
    unhappy = WebhookEvent.objects.filter(status__in=["refused", "failed"]).count()
    if unhappy:
        yield Finding(False, f"{unhappy} of Stripe's messages were not carried out: see the admin.")
    if alerts := OperatorAlert.objects.filter(settled_at=None).count():
        yield Finding(False, f"{alerts} alerts are not settled: see the admin.")
