"""Stripe's objects with the fields that we read. Nothing here imports Stripe's library.

Amounts are whole cents, moments are aware datetimes, a text that Stripe omits or sends as null is
"", and a reference that Stripe may send expanded is always its id.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

StripeParams = Mapping[str, object]  # Parameters of a call, as Stripe documents them.


def _reference_id(value: object) -> object:
    return (value.get("id") if isinstance(value, Mapping) else value) or ""


Text = Annotated[str, BeforeValidator(lambda value: value or "")]
Reference = Annotated[str, BeforeValidator(_reference_id)]
Cents = Annotated[int, BeforeValidator(lambda value: value or 0)]
Flag = Annotated[bool, BeforeValidator(bool)]
Metadata = Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]


class StripeData(BaseModel):
    """One object of Stripe's. Fields that are not declared are ignored."""

    model_config = ConfigDict(frozen=True)


class StripeObjectData(StripeData):
    """An object of which we read no more than this."""

    id: Text = ""
    url: Text = ""
    metadata: Metadata = {}


class StripePaymentData(StripeObjectData):
    amount_cents: int = Field(validation_alias="amount")  # With tax.


class StripeCustomerData(StripeData):
    id: str
    is_deleted: Flag = Field(False, validation_alias="deleted")


class StripePriceData(StripeData):
    id: str
    product: Reference = ""
    lookup_key: Text = ""
    # Per unit; a metered unit costs fractions of a cent.
    cents: Annotated[Decimal, BeforeValidator(lambda value: value or 0)] = Field(
        Decimal(0), validation_alias=AliasChoices("unit_amount_decimal", "unit_amount")
    )
    # "" for a price that is not metered.
    meter: Text = Field("", validation_alias=AliasPath("recurring", "meter"))


class StripeMeterData(StripeData):
    id: str
    event_name: str


class StripeSubscriptionItemData(StripeData):
    """One line of a subscription. The billing period is a field of it, not of the subscription."""

    id: str
    price: StripePriceData
    period_start: datetime = Field(validation_alias="current_period_start")
    period_end: datetime = Field(validation_alias="current_period_end")


class StripeSubscriptionData(StripeData):
    id: str
    customer: Reference
    status: str
    created: datetime
    items: tuple[StripeSubscriptionItemData, ...] = Field(
        validation_alias=AliasPath("items", "data")
    )
    cancel_at: datetime | None = None
    ended_at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _set_cancel_at(cls, wire: Mapping[str, Any]) -> Mapping[str, Any]:
        """Stripe leaves `cancel_at` out where a subscription ends with its period."""
        if wire.get("cancel_at") is None and wire.get("cancel_at_period_end"):
            ends = [item["current_period_end"] for item in wire["items"]["data"]]
            return {**wire, "cancel_at": max(ends, default=None)}
        return wire


class StripeCheckoutSessionData(StripeData):
    id: str
    url: Text = ""
    mode: str  # "subscription" or "payment"
    status: Text = ""  # "open", "complete" or "expired"
    payment_status: Text = ""  # "paid", "unpaid" or "no_payment_required"
    customer: Reference = ""
    subscription: Reference = ""
    payment_intent: Reference = ""
    metadata: Metadata = {}


class StripeAppliedCreditData(StripeData):
    """Credit that an invoice took off, before tax, or a discount."""

    cents: int = Field(validation_alias="amount")
    type: Text = ""  # "credit_balance_transaction" for credit grants, else a discount.


AppliedCredit = Annotated[
    tuple[StripeAppliedCreditData, ...], BeforeValidator(lambda value: value or ())
]


class StripeInvoiceLineData(StripeData):
    description: Text = ""
    amount_cents: int = Field(validation_alias="amount")
    quantity: int | None = None
    price: Reference = Field("", validation_alias=AliasPath("pricing", "price_details", "price"))
    product: Text = Field("", validation_alias=AliasPath("pricing", "price_details", "product"))
    period_start: datetime = Field(validation_alias=AliasPath("period", "start"))
    period_end: datetime = Field(validation_alias=AliasPath("period", "end"))
    discounts: AppliedCredit = Field((), validation_alias="discount_amounts")

    @property
    def asked_cents(self) -> int:
        """Without what coupons take off."""
        return self.amount_cents - sum(each.cents for each in self.discounts)


class StripeInvoiceData(StripeData):
    id: Text = ""  # A preview has none.
    customer: Reference = ""
    # "" for an invoice of its own, such as a top-up's.
    subscription: Reference = Field(
        "", validation_alias=AliasPath("parent", "subscription_details", "subscription")
    )
    status: Annotated[str, BeforeValidator(lambda value: value or "draft")] = "draft"
    billing_reason: Text = ""
    number: Text = ""
    total_cents: int = Field(validation_alias="total")
    # What is still to be paid. `amount_due` would include what was paid, and ignore credit notes.
    due_cents: Cents = Field(0, validation_alias="amount_remaining")
    applied_credit: AppliedCredit = Field((), validation_alias="total_pretax_credit_amounts")
    finalized_at: datetime | None = Field(
        None, validation_alias=AliasPath("status_transitions", "finalized_at")
    )
    page_url: Text = Field("", validation_alias="hosted_invoice_url")
    pdf_url: Text = Field("", validation_alias="invoice_pdf")
    created: datetime
    next_attempt_at: datetime | None = Field(None, validation_alias="next_payment_attempt")
    period_start: datetime
    period_end: datetime
    # Stripe's own words when it could not finalize.
    finalization_error: Text = Field(
        "", validation_alias=AliasPath("last_finalization_error", "message")
    )
    lines: tuple[StripeInvoiceLineData, ...] = Field(validation_alias=AliasPath("lines", "data"))

    @property
    def credit_cents(self) -> int:
        """What credit grants took off."""
        kinds = {"credit_balance_transaction"}
        return sum(each.cents for each in self.applied_credit if each.type in kinds)


class StripeCreditGrantData(StripeData):
    id: str
    amount_cents: int = Field(validation_alias=AliasPath("amount", "monetary", "value"))
    voided_at: datetime | None = None
    expires_at: datetime | None = None


class StripeCreditBalanceData(StripeData):
    """What is left of a customer's grants: one amount for each currency."""

    class Balance(StripeData):
        cents: int = Field(0, validation_alias=AliasPath("available_balance", "monetary", "value"))

    balances: tuple[Balance, ...]

    @property
    def total_cents(self) -> int:
        return sum(balance.cents for balance in self.balances)


class StripeRefundData(StripeData):
    id: str
    status: Text = ""
    amount_cents: int = Field(validation_alias="amount")
    payment_intent: Reference = ""

    @property
    def has_failed(self) -> bool:
        """The money stays with us."""
        return self.status in {"failed", "canceled"}


class StripeDisputeData(StripeRefundData):
    """A dispute of a payment. The statuses "lost" and "won" are final."""

    reason: Text = ""


class StripeEventData(StripeData):
    """A snapshot event or a thin event. `payload` is the whole body as it was received."""

    id: str
    type: str
    api_version: Text = ""  # "" on thin events, which carry no object.
    created: datetime  # Seconds on snapshot events, ISO 8601 on thin ones.
    payload: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _keep_payload(cls, wire: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**wire, "payload": wire}


class StripeMeterErrorsData(StripeData):
    """A thin event that names meter events which Stripe accepted and then did not count."""

    class ErrorType(StripeData):
        class Sample(StripeData):
            identifier: Text = Field("", validation_alias=AliasPath("request", "identifier"))

        code: str
        error_count: int
        sample_errors: tuple[Sample, ...] = ()

    error_count: int = Field(validation_alias=AliasPath("data", "reason", "error_count"))
    error_types: tuple[ErrorType, ...] = Field(
        validation_alias=AliasPath("data", "reason", "error_types")
    )


class StripeMeterSummaryData(StripeData):
    """How many units of a meter Stripe has counted in a span of time."""

    value: Decimal = Field(validation_alias="aggregated_value")


class StripeWebhookEndpointData(StripeData):
    url: str
    api_version: str | None = None  # None: the account's default version.
    enabled_events: frozenset[str]
