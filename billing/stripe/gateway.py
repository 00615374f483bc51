"""The only module that calls Stripe. Functions take our ids and integers, and return
`billing.stripe.dtos` or raise StripeFailure.

Stripe's library is loaded on first use, so that a web process without a key never loads it. Every
POST has an idempotency key that the caller derives from a row of ours. The library's retries reuse
that key, and ours must too, except after StripeServerError: a 5xx answer is stored and repeated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from threading import BoundedSemaphore
from typing import Any, Generic, TypeVar

from django.conf import settings

from billing.stripe import dtos, errors
from billing.stripe.dtos import StripeData, StripeParams
from billing.stripe.errors import BadSignature, StripeFailure

CONNECT_TIMEOUT_SECONDS = 3.05
SIGNATURE_TOLERANCE_SECONDS = 300  # How old a signed message may be.
PAGE = {"limit": 100}
MAX_ROWS = 100_000  # Of one list: more would be a loop that Stripe never ends.
MAX_LOOKUP_KEYS = 10  # That one call takes.
# At once, of one process: when Stripe is slow, requests that wait for it leave threads and
# connections to the database (config.asgi, DB_POOL_SIZE) to all others.
MAX_CALLS, MAX_WAIT_SECONDS = 8, 0.5
Data = TypeVar("Data", bound=StripeData)


def is_enabled() -> bool:
    """Whether this installation uses Stripe, which is when it has a key."""
    return bool(settings.STRIPE_SECRET_KEY)


def is_live_mode() -> bool:
    """Whether the key moves real money."""
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


def api_version() -> str:
    """The API version of every call; webhook endpoints must be created with the same."""
    version: str = _stripe_module().api_version
    return version


@lru_cache(maxsize=1)
def _stripe_module() -> Any:
    import stripe  # Imported here, as it takes long and most processes never call Stripe.

    stripe.enable_telemetry = False
    return stripe


def _client() -> Any:
    if not is_enabled():
        raise errors.StripeDisabled
    bases = {
        "api": settings.STRIPE_API_BASE,
        "meter_events": settings.STRIPE_METER_EVENTS_BASE,
        "files": settings.STRIPE_FILES_BASE,
    }
    chosen = tuple((name, base.rstrip("/")) for name, base in bases.items() if base)
    return _client_for(settings.STRIPE_SECRET_KEY, chosen, settings.STRIPE_TIMEOUT_SECONDS)


@lru_cache(maxsize=4)
def _client_for(key: str, bases: tuple[tuple[str, str], ...], timeout_seconds: int) -> Any:
    stripe = _stripe_module()
    return stripe.StripeClient(
        key,
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, timeout_seconds)),
        base_addresses=dict(bases),
    )


@dataclass(frozen=True)
class StripeCall(Generic[Data]):
    """A method of Stripe's client, such as "v1.refunds.retrieve", and the model of its answer.

    Called with an object's id, parameters or both. Raises StripeFailure.
    """

    model: type[Data]
    name: str

    @property
    def method(self) -> Any:
        return attrgetter(self.name)(_client())


class Method(StripeCall[Data]):
    """A method that returns one object."""

    def __call__(self, *arguments: str | StripeParams) -> Data:
        with _calling():
            return self.model.model_validate(self.method(*arguments).to_dict(for_json=True))


class Post(StripeCall[Data]):
    """A method that is called with an idempotency key."""

    def __call__(self, *arguments: str | StripeParams, key: str) -> Data:
        return Method(self.model, self.name)(*arguments, {"idempotency_key": key})


class List(StripeCall[Data]):
    """A method that lists objects; all rows are returned, page by page."""

    def __call__(self, params: StripeParams, *path: str) -> Iterator[Data]:
        with _calling():
            rows = self.method(*path, {**PAGE, **params}).auto_paging_iter()
            for row in islice(rows, MAX_ROWS):
                yield self.model.model_validate(row.to_dict(for_json=True))


_free_calls = BoundedSemaphore(MAX_CALLS)


@contextmanager
def _calling() -> Iterator[None]:
    """Raises StripeFailure: soon where too many calls wait for their answer."""
    if not _free_calls.acquire(timeout=MAX_WAIT_SECONDS):
        raise errors.StripeRateLimited
    try:
        yield
    except _stripe_module().StripeError as error:
        raise _to_failure(error) from error
    finally:
        _free_calls.release()


def _to_failure(error: Any) -> StripeFailure:
    stripe = _stripe_module()
    if isinstance(error, stripe.APIConnectionError):
        return errors.StripeUnreachable()
    if isinstance(error, stripe.RateLimitError):
        return errors.StripeRateLimited()
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return errors.StripeKeyRejected()
    if isinstance(error, stripe.InvalidRequestError | stripe.CardError | stripe.IdempotencyError):
        is_missing = error.http_status == 404 or error.code == "resource_missing"
        kind = errors.StripeNotFound if is_missing else errors.StripeRequestRejected
        reason = error.user_message or "no reason given"
        return kind(reason, param=getattr(error, "param", None), stripe_code=error.code or "")
    return errors.StripeServerError()


def decimal_text(number: Decimal) -> str:
    """Plain digits: str() would send Decimal("1E+2") as "1E+2"."""
    return format(number, "f")


# --- Messages from Stripe -----------------------------------------------------------------------


def verify_event(
    body: bytes, header: str | None, secrets: list[str], reader: str
) -> dtos.StripeEventData:
    """An event whose signature is good under one of the secrets. Raises BadSignature.

    `reader` is the method of Stripe's client for its kind: "construct_event" for snapshots,
    "parse_event_notification" for thin events, which name their object and carry none.
    """
    client, stripe = _client(), _stripe_module()
    for secret in secrets:
        try:
            getattr(client, reader)(body, header, secret, SIGNATURE_TOLERANCE_SECONDS)
            return dtos.StripeEventData.model_validate_json(body)
        except stripe.SignatureVerificationError:
            continue
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadSignature("This is not an event of the kind this address takes.") from error
    raise BadSignature


def list_events_since(moment: datetime, types: list[str]) -> Iterator[dtos.StripeEventData]:
    """Snapshot events created since then, newest first, of at most 20 types (Stripe's limit)."""
    params = {"created": {"gte": int(moment.timestamp())}, "types": types}
    return List(dtos.StripeEventData, "v1.events.list")(params)


def list_thin_events_since(moment: datetime, types: list[str]) -> Iterator[dtos.StripeEventData]:
    """Thin events created since then, of at most 20 types; Stripe keeps them for 30 days."""
    params = {"created": {"gte": moment.isoformat()}, "types": types}
    return List(dtos.StripeEventData, "v2.core.events.list")(params)


# --- Calls with an id, parameters or both -------------------------------------------------------

# The account of the key; the cheapest call that shows that the key works.
retrieve_account = Method(dtos.StripeObjectData, "v1.accounts.retrieve_current")
create_customer = Post(dtos.StripeCustomerData, "v1.customers.create")
retrieve_customer = Method(dtos.StripeCustomerData, "v1.customers.retrieve")

create_product = Post(dtos.StripeObjectData, "v1.products.create")
create_price = Post(dtos.StripePriceData, "v1.prices.create")
create_meter = Post(dtos.StripeMeterData, "v1.billing.meters.create")

create_checkout_session = Post(dtos.StripeCheckoutSessionData, "v1.checkout.sessions.create")
retrieve_checkout_session = Method(dtos.StripeCheckoutSessionData, "v1.checkout.sessions.retrieve")
# Refused when it is not open any more.
expire_checkout_session = Method(dtos.StripeCheckoutSessionData, "v1.checkout.sessions.expire")
retrieve_payment = Method(dtos.StripePaymentData, "v1.payment_intents.retrieve")
retrieve_refund = Method(dtos.StripeRefundData, "v1.refunds.retrieve")
retrieve_dispute = Method(dtos.StripeDisputeData, "v1.disputes.retrieve")

retrieve_subscription = Method(dtos.StripeSubscriptionData, "v1.subscriptions.retrieve")
update_subscription = Post(dtos.StripeSubscriptionData, "v1.subscriptions.update")
# Ends it now. What remains of its period is credited when the parameters say `prorate`.
cancel_subscription = Post(dtos.StripeSubscriptionData, "v1.subscriptions.cancel")
retrieve_invoice = Method(dtos.StripeInvoiceData, "v1.invoices.retrieve")
# The next invoice as Stripe would make it now; recent usage may not be in it yet.
preview_invoice = Method(dtos.StripeInvoiceData, "v1.invoices.create_preview")
# Its `url` is a short-lived address of Stripe's customer portal.
create_portal_session = Method(dtos.StripeObjectData, "v1.billing_portal.sessions.create")

create_credit_grant = Post(dtos.StripeCreditGrantData, "v1.billing.credit_grants.create")
# Refused when the grant was used or voided before. This and `expire_credit_grant` have no
# idempotency key: calling twice does no harm, and a failure would be repeated under the key.
void_credit_grant = Method(dtos.StripeCreditGrantData, "v1.billing.credit_grants.void_grant")
expire_credit_grant = Method(dtos.StripeCreditGrantData, "v1.billing.credit_grants.expire")
# "Already exists" arrives as StripeRequestRejected: the event was delivered before.
create_meter_event = Post(dtos.StripeObjectData, "v1.billing.meter_events.create")
# The whole of a thin event about a meter, with the data that its notification leaves out.
retrieve_meter_errors = Method(dtos.StripeMeterErrorsData, "v2.core.events.retrieve")

# The snapshot endpoints registered at Stripe.
list_webhook_endpoints = List(dtos.StripeWebhookEndpointData, "v1.webhook_endpoints.list")
# All lines: an invoice itself has only its first page of them.
list_invoice_lines = List(dtos.StripeInvoiceLineData, "v1.invoices.line_items.list")
list_refunds = List(dtos.StripeRefundData, "v1.refunds.list")  # Newest first.
list_credit_grants = List(dtos.StripeCreditGrantData, "v1.billing.credit_grants.list")
# What Stripe counted; eventually consistent.
list_meter_event_summaries = List(
    dtos.StripeMeterSummaryData, "v1.billing.meters.event_summaries.list"
)


# --- Everything else ----------------------------------------------------------------------------


def list_product_ids(product_ids: list[str]) -> set[str]:
    """Which of these products exist; at most one page of them."""
    rows = List(dtos.StripeObjectData, "v1.products.list")({"ids": product_ids})
    return {row.id for row in rows}


def list_prices_by_lookup_key(lookup_keys: list[str]) -> dict[str, dtos.StripePriceData]:
    """The active prices under these keys."""
    prices: dict[str, dtos.StripePriceData] = {}
    for start in range(0, len(lookup_keys), MAX_LOOKUP_KEYS):
        params = {"lookup_keys": lookup_keys[start : start + MAX_LOOKUP_KEYS], "active": True}
        rows = List(dtos.StripePriceData, "v1.prices.list")(params)
        prices |= {price.lookup_key: price for price in rows}
    return prices


def list_active_meters() -> dict[str, dtos.StripeMeterData]:
    """The active meters, by their event names."""
    rows = List(dtos.StripeMeterData, "v1.billing.meters.list")({"status": "active"})
    return {meter.event_name: meter for meter in rows}


def list_latest_invoices(subscription_id: str) -> list[dtos.StripeInvoiceData]:
    """The newest three invoices of a subscription."""
    params = {"subscription": subscription_id, "limit": 3}
    return list(islice(List(dtos.StripeInvoiceData, "v1.invoices.list")(params), 3))


def retrieve_credit_balance_cents(customer_id: str, grant_id: str = "") -> int:
    """What Stripe says is left of one grant, or of all grants for metered prices, in cents."""
    metered = {"type": "applicability_scope", "applicability_scope": {"price_type": "metered"}}
    one_grant = {"type": "credit_grant", "credit_grant": grant_id}
    params = {"customer": customer_id, "filter": one_grant if grant_id else metered}
    retrieve = Method(dtos.StripeCreditBalanceData, "v1.billing.credit_balance_summary.retrieve")
    return retrieve(params).total_cents
