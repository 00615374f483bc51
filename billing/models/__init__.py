"""Plans, prices, budgets, the ledger, usage, credit, and Stripe's side of them.

Invariants: money is integers (nano-USD rates, micro-USD amounts); a ledger entry or usage segment
is never changed after it is written (triggers refuse it); a balance is the sum of entries; the
Budget row of a team is always locked before any of its metered runs.
"""

from billing.models.alert import OperatorAlert
from billing.models.budget import Budget
from billing.models.credit import CreditBurn, CreditGrant
from billing.models.daily_total import CreditDay, UsageDay
from billing.models.invoice import BillingDetails, Invoice
from billing.models.ledger import CREDIT_KINDS, LedgerEntry
from billing.models.metered_run import MeteredRun, RunEndReason, UsageSegment
from billing.models.plan import Plan
from billing.models.rate import Rate
from billing.models.stripe import (
    Meter,
    StripeCustomer,
    StripeInvoice,
    Subscription,
    TopUp,
)
from billing.models.stripe_outbox import (
    MeterProgress,
    Reconciliation,
    StripeOutbox,
    StripeOutboxEntry,
    StripeOutboxEvent,
    StripeOutboxItem,
)
from billing.models.usage import UsageCounter, UsageEvent
from billing.models.webhook_event import WebhookEvent

__all__ = [
    "CREDIT_KINDS",
    "BillingDetails",
    "Budget",
    "CreditBurn",
    "CreditDay",
    "CreditGrant",
    "Invoice",
    "LedgerEntry",
    "Meter",
    "MeteredRun",
    "OperatorAlert",
    "Plan",
    "Rate",
    "Reconciliation",
    "MeterProgress",
    "RunEndReason",
    "StripeCustomer",
    "StripeInvoice",
    "StripeOutbox",
    "StripeOutboxEntry",
    "StripeOutboxEvent",
    "StripeOutboxItem",
    "Subscription",
    "TopUp",
    "UsageCounter",
    "UsageDay",
    "UsageEvent",
    "UsageSegment",
    "WebhookEvent",
]
