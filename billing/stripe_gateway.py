"""The only place that talks to Stripe. In: our ids and integers. Out: facts, or a StripeFailure.

Stripe's library is loaded on first use, so that a web process without a key never holds it. Every
POST carries an idempotency key that the caller derives from a row of ours; its own retries reuse
that key, and so must ours, except after StripeBroken (a 5xx answer is saved and replayed).
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.conf import settings

from billing.stripe_errors import (
    BadSignature,
    StripeBroken,
    StripeBusy,
    StripeFailure,
    StripeIsOff,
    StripeKeyRejected,
    StripeMissing,
    StripeRefused,
    StripeUnreachable,
)
from billing.stripe_facts import (
    CustomerFacts,
    DisputeFacts,
    EventFacts,
    GrantFacts,
    InvoiceFacts,
    MeterFacts,
    PriceFacts,
    RefundFacts,
    SessionFacts,
    SubscriptionFacts,
    SummaryFacts,
)

CONNECT_SECONDS = 3.05
SIGNATURE_SECONDS = 300  # How old a signed message may be.
MOST_PAGES = 1000  # Of 100 rows each: a loop that Stripe would never end is a bug of ours.


def is_on() -> bool:
    """Whether this installation has a Stripe account behind it."""
    return bool(settings.STRIPE_SECRET_KEY)


def is_live() -> bool:
    """Whether the key moves real money."""
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


def api_version() -> str:
    """The version every call is pinned to; webhook endpoints must be made with the same."""
    version: str = _library().api_version
    return version


@lru_cache(maxsize=1)
def _library() -> Any:
    import stripe  # Here, so that importing our own modules does not cost the web process this.

    stripe.enable_telemetry = False
    return stripe


def _client() -> Any:
    if not is_on():
        raise StripeIsOff
    bases = {
        "api": settings.STRIPE_API_BASE,
        "meter_events": settings.STRIPE_METER_EVENTS_BASE,
        "files": settings.STRIPE_FILES_BASE,
    }
    chosen = tuple((name, base.rstrip("/")) for name, base in bases.items() if base)
    return _client_for(settings.STRIPE_SECRET_KEY, chosen, settings.STRIPE_TIMEOUT_SECONDS)


@lru_cache(maxsize=4)
def _client_for(key: str, bases: tuple[tuple[str, str], ...], timeout_seconds: int) -> Any:
    stripe = _library()
    return stripe.StripeClient(
        key,
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, timeout_seconds)),
        base_addresses=dict(bases),
    )


def _ask(call: Callable[[Any], Any]) -> dict[str, Any]:
    """What the call answers, as plain JSON values. Raises a StripeFailure."""
    client = _client()
    try:
        answer: dict[str, Any] = call(client).to_dict(for_json=True)
    except _library().StripeError as error:
        raise _translated(error) from error
    return answer


def _every(call: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    """Every row of a list, page by page. Raises a StripeFailure."""
    client = _client()
    try:
        for number, row in enumerate(call(client).auto_paging_iter()):
            if number >= MOST_PAGES * 100:
                return
            yield row.to_dict(for_json=True)
    except _library().StripeError as error:
        raise _translated(error) from error


def _translated(error: Any) -> StripeFailure:
    stripe = _library()
    if isinstance(error, stripe.APIConnectionError):
        return StripeUnreachable()
    if isinstance(error, stripe.RateLimitError):
        return StripeBusy()
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return StripeKeyRejected()
    if isinstance(error, stripe.InvalidRequestError | stripe.CardError | stripe.IdempotencyError):
        kind = StripeMissing if _is_missing(error) else StripeRefused
        reason = error.user_message or "no reason given"
        return kind(reason, param=getattr(error, "param", None), stripe_code=error.code or "")
    return StripeBroken()


def _is_missing(error: Any) -> bool:
    return bool(error.http_status == 404 or error.code == "resource_missing")


def _key(key: str) -> dict[str, str]:
    return {"idempotency_key": key}


def decimal_text(number: Decimal) -> str:
    """Plain digits: str() would send Decimal("1E+2") as "1E+2"."""
    return format(number, "f")


# --- Messages from Stripe ---------------------------------------------------------------------


def read_event(body: bytes, header: str | None, secrets: list[str]) -> EventFacts:
    """A snapshot event whose signature is good under one of the secrets. Raises BadSignature."""
    return _verified(body, header, secrets, "construct_event")


def read_thin_event(body: bytes, header: str | None, secrets: list[str]) -> EventFacts:
    """Likewise a thin event, which names its object and carries none."""
    return _verified(body, header, secrets, "parse_event_notification")


def _verified(body: bytes, header: str | None, secrets: list[str], reader: str) -> EventFacts:
    client, stripe = _client(), _library()
    for secret in secrets:
        try:
            getattr(client, reader)(body, header, secret, SIGNATURE_SECONDS)
            return EventFacts.read(json.loads(body))
        except stripe.SignatureVerificationError:
            continue
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadSignature("This is not an event of the kind this address takes.") from error
    raise BadSignature


def events_since(moment: datetime, types: list[str]) -> Iterator[EventFacts]:
    """Snapshot events created since then, newest first, of at most 20 types (Stripe's limit)."""
    params = {"created": {"gte": int(moment.timestamp())}, "types": types, "limit": 100}
    return (EventFacts.read(row) for row in _every(lambda s: s.v1.events.list(params)))


def fetch_thin_event(event_id: str) -> dict[str, Any]:
    """The whole of a thin event, with the data that its notification leaves out."""
    return _ask(lambda s: s.v2.core.events.retrieve(event_id))


def thin_events_since(moment: datetime, types: list[str]) -> Iterator[EventFacts]:
    """Thin events created since then, of at most 20 types; Stripe keeps them for 30 days."""
    params = {"created": {"gte": moment.isoformat()}, "types": types, "limit": 100}
    return (EventFacts.read(row) for row in _every(lambda s: s.v2.core.events.list(params)))


def webhook_endpoints() -> list[dict[str, Any]]:
    """The snapshot endpoints registered at Stripe, as they come."""
    return list(_every(lambda s: s.v1.webhook_endpoints.list({"limit": 100})))


# --- Customers ----------------------------------------------------------------------------------


def create_customer(params: dict[str, Any], *, key: str) -> CustomerFacts:
    return CustomerFacts.read(_ask(lambda s: s.v1.customers.create(params, _key(key))))


def customer(customer_id: str) -> CustomerFacts:
    return CustomerFacts.read(_ask(lambda s: s.v1.customers.retrieve(customer_id)))


def account() -> dict[str, Any]:
    """The account behind the key; the cheapest way to see that the key works."""
    return _ask(lambda s: s.v1.accounts.retrieve_current())


# --- Catalog ------------------------------------------------------------------------------------


def has_product(product_id: str) -> bool:
    """Whether a product with this id of ours exists there."""
    try:
        _ask(lambda s: s.v1.products.retrieve(product_id))
    except StripeMissing:
        return False
    return True


def create_product(params: dict[str, Any], *, key: str) -> None:
    _ask(lambda s: s.v1.products.create(params, _key(key)))


def prices_by_lookup_key(lookup_keys: list[str]) -> dict[str, PriceFacts]:
    """The active prices under these keys (at most 10 a call, Stripe's limit)."""
    found = {}
    for start in range(0, len(lookup_keys), 10):
        for row in _active_prices(lookup_keys[start : start + 10]):
            found[row["lookup_key"]] = PriceFacts.read(row)
    return found


def _active_prices(lookup_keys: list[str]) -> Iterator[dict[str, Any]]:
    params = {"lookup_keys": lookup_keys, "active": True, "limit": 100}
    return _every(lambda s: s.v1.prices.list(params))


def create_price(params: dict[str, Any], *, key: str) -> PriceFacts:
    return PriceFacts.read(_ask(lambda s: s.v1.prices.create(params, _key(key))))


def meters() -> list[MeterFacts]:
    rows = _every(lambda s: s.v1.billing.meters.list({"limit": 100}))
    return [MeterFacts.read(row) for row in rows]


def create_meter(params: dict[str, Any], *, key: str) -> MeterFacts:
    return MeterFacts.read(_ask(lambda s: s.v1.billing.meters.create(params, _key(key))))


# --- Paying -------------------------------------------------------------------------------------


def create_session(params: dict[str, Any], *, key: str) -> SessionFacts:
    return SessionFacts.read(_ask(lambda s: s.v1.checkout.sessions.create(params, _key(key))))


def session(session_id: str) -> SessionFacts:
    return SessionFacts.read(_ask(lambda s: s.v1.checkout.sessions.retrieve(session_id)))


def expire_session(session_id: str) -> SessionFacts:
    """Close an open session. Raises StripeRefused when it is not open any more."""
    return SessionFacts.read(_ask(lambda s: s.v1.checkout.sessions.expire(session_id)))


def portal_url(params: dict[str, Any]) -> str:
    """A short-lived address of Stripe's customer portal."""
    url: str = _ask(lambda s: s.v1.billing_portal.sessions.create(params))["url"]
    return url


def payment_metadata(payment_intent: str) -> dict[str, str]:
    """What we wrote on the payment when it was opened."""
    wire = _ask(lambda s: s.v1.payment_intents.retrieve(payment_intent))
    return dict(wire.get("metadata") or {})


def refund(refund_id: str) -> RefundFacts:
    return RefundFacts.read(_ask(lambda s: s.v1.refunds.retrieve(refund_id)))


def dispute(dispute_id: str) -> DisputeFacts:
    return DisputeFacts.read(_ask(lambda s: s.v1.disputes.retrieve(dispute_id)))


# --- Subscriptions and invoices -------------------------------------------------------------------


def subscription(subscription_id: str) -> SubscriptionFacts:
    return SubscriptionFacts.read(_ask(lambda s: s.v1.subscriptions.retrieve(subscription_id)))


def update_subscription(
    subscription_id: str, params: dict[str, Any], *, key: str
) -> SubscriptionFacts:
    wire = _ask(lambda s: s.v1.subscriptions.update(subscription_id, params, _key(key)))
    return SubscriptionFacts.read(wire)


def cancel_subscription(
    subscription_id: str, params: dict[str, Any], *, key: str
) -> SubscriptionFacts:
    """End it now. What remains of its period is credited when params say `prorate`."""
    wire = _ask(lambda s: s.v1.subscriptions.cancel(subscription_id, params, _key(key)))
    return SubscriptionFacts.read(wire)


def invoice(invoice_id: str) -> InvoiceFacts:
    return InvoiceFacts.read(_ask(lambda s: s.v1.invoices.retrieve(invoice_id)))


def preview_invoice(params: dict[str, Any]) -> InvoiceFacts:
    """The next invoice as Stripe would make it now; recent usage may not be in it yet."""
    return InvoiceFacts.read(_ask(lambda s: s.v1.invoices.create_preview(params)))


# --- Credit and usage -----------------------------------------------------------------------------


def create_credit_grant(params: dict[str, Any], *, key: str) -> GrantFacts:
    return GrantFacts.read(_ask(lambda s: s.v1.billing.credit_grants.create(params, _key(key))))


def credit_grant(grant_id: str) -> GrantFacts:
    return GrantFacts.read(_ask(lambda s: s.v1.billing.credit_grants.retrieve(grant_id)))


def credit_grants(customer_id: str) -> list[GrantFacts]:
    params = {"customer": customer_id, "limit": 100}
    return [
        GrantFacts.read(row) for row in _every(lambda s: s.v1.billing.credit_grants.list(params))
    ]


def void_credit_grant(grant_id: str) -> GrantFacts:
    """Take back the whole grant. Raises StripeRefused when it was used or voided already."""
    # Without a key of ours: to do it twice is no harm, and a failure would stay under the key.
    wire = _ask(lambda s: s.v1.billing.credit_grants.void_grant(grant_id))
    return GrantFacts.read(wire)


def expire_credit_grant(grant_id: str) -> GrantFacts:
    """End what is left of a grant."""
    wire = _ask(lambda s: s.v1.billing.credit_grants.expire(grant_id))
    return GrantFacts.read(wire)


def credit_balance_cents(customer_id: str) -> int:
    """What Stripe says is left of the customer's grants for metered prices, in cents."""
    params = {
        "customer": customer_id,
        "filter": {
            "type": "applicability_scope",
            "applicability_scope": {"price_type": "metered"},
        },
    }
    return _balance_cents(params)


def _balance_cents(params: dict[str, Any]) -> int:
    wire = _ask(lambda s: s.v1.billing.credit_balance_summary.retrieve(params))
    return sum(
        balance["available_balance"]["monetary"]["value"]
        for balance in wire["balances"]
        if balance["available_balance"].get("monetary")
    )


def grant_balance_cents(customer_id: str, grant_id: str) -> int:
    """What Stripe says is left of one grant, in cents."""
    only = {"type": "credit_grant", "credit_grant": grant_id}
    return _balance_cents({"customer": customer_id, "filter": only})


def send_meter_event(params: dict[str, Any], *, key: str) -> None:
    """Report usage. "Already exists" arrives as StripeRefused: it means delivered before."""
    _ask(lambda s: s.v1.billing.meter_events.create(params, _key(key)))


def meter_summaries(meter_id: str, params: dict[str, Any]) -> list[SummaryFacts]:
    """What Stripe counted; eventually consistent."""
    asked = {"limit": 100, **params}
    rows = _every(lambda s: s.v1.billing.meters.event_summaries.list(meter_id, asked))
    return [SummaryFacts.read(row) for row in rows]


def create_invoice_item(params: dict[str, Any], *, key: str) -> str:
    """Add a line to the customer's next invoice; returns its id."""
    item: str = _ask(lambda s: s.v1.invoice_items.create(params, _key(key)))["id"]
    return item


def find_invoice_item(customer_id: str, metadata: dict[str, str]) -> str:
    """The id of the customer's invoice item that carries this metadata; "" for none."""
    params = {"customer": customer_id, "limit": 100}
    for row in _every(lambda s: s.v1.invoice_items.list(params)):
        if metadata.items() <= (row.get("metadata") or {}).items():
            return str(row["id"])
    return ""
