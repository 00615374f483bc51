"""What a team may spend and did spend.

Invariants: money is integers (nano-USD rates, micro-USD amounts); a ledger entry or usage segment
is never changed after it is written (triggers refuse it); a balance is the sum of entries; the
Budget row of a team is always locked before any of its metered runs.
"""

from billing.models.burns import CreditBurn
from billing.models.counted import UsageCounter, UsageEvent
from billing.models.daily import CreditDay, DayRebuild, UsageDay
from billing.models.grants import CreditGrant
from billing.models.invoices import BillingDetails, Invoice
from billing.models.ledger import CREDIT_KINDS, LedgerEntry
from billing.models.outbox import (
    Reconciliation,
    Reported,
    StripeOutbox,
    StripeOutboxEntry,
    StripeOutboxEvent,
    StripeOutboxItem,
)
from billing.models.runs import MeteredRun, RunEnd, UsageSegment
from billing.models.spending import Budget, Plan, Rate
from billing.models.stripe import (
    Meter,
    OperatorAlert,
    StripeCustomer,
    StripeInvoice,
    Subscription,
    TopUp,
    WebhookEvent,
)

__all__ = [
    "CREDIT_KINDS",
    "BillingDetails",
    "Budget",
    "CreditBurn",
    "CreditDay",
    "CreditGrant",
    "DayRebuild",
    "Invoice",
    "LedgerEntry",
    "Meter",
    "MeteredRun",
    "OperatorAlert",
    "Plan",
    "Rate",
    "Reconciliation",
    "Reported",
    "RunEnd",
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
