"""Plans, prices, budgets, the ledger, usage, credit, and Stripe's side of them.

Invariants: money is integers (nano-USD rates, micro-USD amounts); a ledger entry or usage segment
is never changed after it is written (triggers refuse it); a balance is the sum of entries; the
Budget row of a team is always locked before any of its metered runs.
"""

from billing.models.budget import Budget
from billing.models.credit import CreditBurn, CreditGrant
from billing.models.ledger import CREDIT_KINDS, LedgerEntry
from billing.models.prices import Plan, Rate
from billing.models.statement import BillingDetails, CreditDay, Invoice, UsageDay
from billing.models.stripe import (
    Meter,
    OperatorAlert,
    StripeCustomer,
    StripeInvoice,
    Subscription,
    TopUp,
    WebhookEvent,
)
from billing.models.stripe_outbox import (
    MeterProgress,
    Reconciliation,
    StripeOutbox,
    StripeOutboxEntry,
    StripeOutboxEvent,
    StripeOutboxItem,
)
from billing.models.usage import MeteredRun, RunEndReason, UsageCounter, UsageEvent, UsageSegment
