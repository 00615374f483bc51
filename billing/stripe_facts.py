"""What Stripe told us, as plain frozen values. Nothing here knows Stripe's library.

Amounts are whole cents, moments are aware datetimes, and a field that Stripe may send expanded
is always its id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

Wire = Mapping[str, Any]


def moment(seconds: int | None) -> datetime | None:
    """Stripe's whole seconds since 1970 as an aware datetime."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _id(value: Any) -> str:
    """The id of a reference, expanded or not; "" for none."""
    if isinstance(value, Mapping):
        return str(value.get("id") or "")
    return str(value or "")


def _metadata(wire: Wire) -> dict[str, str]:
    return dict(wire.get("metadata") or {})


@dataclass(frozen=True)
class CustomerFacts:
    id: str
    currency: str
    is_deleted: bool
    is_delinquent: bool
    metadata: dict[str, str]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(
            id=wire["id"],
            currency=wire.get("currency") or "",
            is_deleted=bool(wire.get("deleted")),
            is_delinquent=bool(wire.get("delinquent")),
            metadata=_metadata(wire),
        )


@dataclass(frozen=True)
class PriceFacts:
    id: str
    product: str
    lookup_key: str
    cents: Decimal  # Per unit; a metered unit costs fractions of a cent.
    meter: str  # "" for a price that is not metered.
    is_active: bool

    @classmethod
    def read(cls, wire: Wire) -> Self:
        recurring = wire.get("recurring") or {}
        return cls(
            id=wire["id"],
            product=_id(wire.get("product")),
            lookup_key=wire.get("lookup_key") or "",
            cents=Decimal(str(wire.get("unit_amount_decimal") or wire.get("unit_amount") or 0)),
            meter=recurring.get("meter") or "",
            is_active=bool(wire.get("active")),
        )


@dataclass(frozen=True)
class MeterFacts:
    id: str
    event_name: str
    is_active: bool

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(wire["id"], wire["event_name"], wire.get("status") == "active")


@dataclass(frozen=True)
class ItemFacts:
    """One line of a subscription; its period is here, not on the subscription."""

    id: str
    price: PriceFacts
    period_start: datetime
    period_end: datetime

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(
            id=wire["id"],
            price=PriceFacts.read(wire["price"]),
            period_start=_moment(wire["current_period_start"]),
            period_end=_moment(wire["current_period_end"]),
        )


@dataclass(frozen=True)
class SubscriptionFacts:
    id: str
    customer: str
    status: str
    created: datetime
    items: tuple[ItemFacts, ...]
    cancel_at: datetime | None
    ended_at: datetime | None
    metadata: dict[str, str]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        items = tuple(ItemFacts.read(item) for item in wire["items"]["data"])
        stops = wire.get("cancel_at")
        if stops is None and wire.get("cancel_at_period_end") and items:
            stops = int(max(item.period_end for item in items).timestamp())
        return cls(
            id=wire["id"],
            customer=_id(wire["customer"]),
            status=wire["status"],
            created=_moment(wire["created"]),
            items=items,
            cancel_at=moment(stops),
            ended_at=moment(wire.get("ended_at")),
            metadata=_metadata(wire),
        )


@dataclass(frozen=True)
class SessionFacts:
    """A Checkout session."""

    id: str
    url: str
    mode: str  # "subscription" or "payment"
    status: str  # "open", "complete" or "expired"
    payment_status: str  # "paid", "unpaid" or "no_payment_required"
    customer: str
    subscription: str
    payment_intent: str
    total_cents: int
    currency: str
    metadata: dict[str, str]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(
            id=wire["id"],
            url=wire.get("url") or "",
            mode=wire["mode"],
            status=wire.get("status") or "",
            payment_status=wire.get("payment_status") or "",
            customer=_id(wire.get("customer")),
            subscription=_id(wire.get("subscription")),
            payment_intent=_id(wire.get("payment_intent")),
            total_cents=wire.get("amount_total") or 0,
            currency=wire.get("currency") or "",
            metadata=_metadata(wire),
        )


@dataclass(frozen=True)
class LineFacts:
    """One line of an invoice."""

    id: str
    description: str
    amount_cents: int
    quantity: int | None
    price: str
    period_start: datetime
    period_end: datetime

    @classmethod
    def read(cls, wire: Wire) -> Self:
        pricing = (wire.get("pricing") or {}).get("price_details") or {}
        return cls(
            id=wire["id"],
            description=wire.get("description") or "",
            amount_cents=wire["amount"],
            quantity=wire.get("quantity"),
            price=_id(pricing.get("price")),
            period_start=_moment(wire["period"]["start"]),
            period_end=_moment(wire["period"]["end"]),
        )


@dataclass(frozen=True)
class InvoiceFacts:
    id: str
    customer: str
    subscription: str  # "" for an invoice of its own, such as a top-up's.
    status: str  # "draft", "open", "paid", "void" or "uncollectible"
    billing_reason: str
    number: str
    currency: str
    total_cents: int
    due_cents: int
    paid_cents: int
    page_url: str
    pdf_url: str
    created: datetime
    finalized_at: datetime | None
    next_attempt_at: datetime | None
    period_start: datetime
    period_end: datetime
    problem: str  # Stripe's own words when it could not finalize.
    lines: tuple[LineFacts, ...]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        details = (wire.get("parent") or {}).get("subscription_details") or {}
        return cls(
            id=wire.get("id") or "",
            customer=_id(wire.get("customer")),
            subscription=_id(details.get("subscription")),
            status=wire.get("status") or "draft",
            billing_reason=wire.get("billing_reason") or "",
            number=wire.get("number") or "",
            currency=wire.get("currency") or "",
            total_cents=wire["total"],
            due_cents=wire.get("amount_due") or 0,
            paid_cents=wire.get("amount_paid") or 0,
            page_url=wire.get("hosted_invoice_url") or "",
            pdf_url=wire.get("invoice_pdf") or "",
            created=_moment(wire["created"]),
            finalized_at=moment((wire.get("status_transitions") or {}).get("finalized_at")),
            next_attempt_at=moment(wire.get("next_payment_attempt")),
            period_start=_moment(wire["period_start"]),
            period_end=_moment(wire["period_end"]),
            problem=(wire.get("last_finalization_error") or {}).get("message") or "",
            lines=tuple(LineFacts.read(line) for line in wire["lines"]["data"]),
        )


@dataclass(frozen=True)
class GrantFacts:
    """A credit grant at Stripe."""

    id: str
    customer: str
    amount_cents: int
    is_void: bool
    expires_at: datetime | None
    metadata: dict[str, str]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(
            id=wire["id"],
            customer=_id(wire["customer"]),
            amount_cents=wire["amount"]["monetary"]["value"],
            is_void=wire.get("voided_at") is not None,
            expires_at=_moment(wire["expires_at"]) if wire.get("expires_at") else None,
            metadata=_metadata(wire),
        )


@dataclass(frozen=True)
class RefundFacts:
    id: str
    status: str
    amount_cents: int
    payment_intent: str

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(
            wire["id"], wire.get("status") or "", wire["amount"], _id(wire.get("payment_intent"))
        )


@dataclass(frozen=True)
class DisputeFacts:
    id: str
    status: str  # "lost" and "won" are final.
    amount_cents: int
    payment_intent: str
    reason: str

    @classmethod
    def read(cls, wire: Wire) -> Self:
        return cls(
            id=wire["id"],
            status=wire["status"],
            amount_cents=wire["amount"],
            payment_intent=_id(wire.get("payment_intent")),
            reason=wire.get("reason") or "",
        )


@dataclass(frozen=True)
class EventFacts:
    """A notification of either kind. `payload` is the whole body as it came."""

    id: str
    type: str
    api_version: str  # "" on thin events, which carry no object.
    created: datetime
    payload: dict[str, Any]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        created = wire["created"]
        return cls(
            id=wire["id"],
            type=wire["type"],
            api_version=wire.get("api_version") or "",
            created=_moment(created)
            if isinstance(created, int)
            else datetime.fromisoformat(created),
            payload=dict(wire),
        )


@dataclass(frozen=True)
class SummaryFacts:
    """How many units of a meter Stripe has counted in a span of time."""

    start: datetime
    end: datetime
    value: Decimal

    @classmethod
    def read(cls, wire: Wire) -> Self:
        value = Decimal(str(wire["aggregated_value"]))
        return cls(_moment(wire["start_time"]), _moment(wire["end_time"]), value)
