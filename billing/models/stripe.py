"""What Stripe knows about a team, as we last fetched it, its messages, and alerts about money.

Stripe decides all of this; a row here is a copy with the time at which it was read.
"""

import uuid
from typing import Self

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q
from django.db.models.functions import Now
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from billing.models.prices import Plan
from billing.money import MICRO_PER_CENT


class StripeCustomer(models.Model):
    """The one customer at Stripe that stands for a team."""

    team = models.OneToOneField(Team, models.PROTECT, primary_key=True, related_name="+")
    # Null until Stripe has answered, and again after the customer was deleted there.
    customer_id = models.CharField(max_length=80, unique=True, null=True)
    generation = models.PositiveIntegerField(default=0)  # Part of the idempotency key.
    account = models.CharField(max_length=80, blank=True)  # Account and mode the ids belong to.
    # The ids of other accounts and modes, by account, for the day their key comes back, and
    # earlier customers that were forgotten.
    elsewhere = models.JSONField(default=dict)
    # The ledger's credit has changed since then, and Stripe's has not followed yet.
    credit_changed_at = models.DateTimeField(null=True)
    credit_grants = models.PositiveIntegerField(default=0)  # Made so far: part of their keys.
    checkout_id = models.CharField(max_length=200, blank=True)  # Checkout of a plan, still open.
    checkouts = models.PositiveIntegerField(default=0)  # Opened so far: part of their keys.
    created_at = models.DateTimeField(default=now, editable=False)
    objects = TeamOwnedQuerySet["StripeCustomer"].as_manager()

    def __str__(self) -> str:
        return f"{self.customer_id or 'no customer yet'} ({self.team})"


class SubscriptionQuerySet(TeamOwnedQuerySet["Subscription"]):
    def in_force(self) -> Self:
        """Those whose plan counts: paid, on trial, or while Stripe still tries the card."""
        return self.filter(status__in=Subscription.IN_FORCE)

    def open(self) -> Self:
        """Those that are not over, paid for or not."""
        return self.exclude(status__in=Subscription.ENDED)


class Subscription(models.Model):
    """A team's subscription at Stripe. A team has one row, whatever its past."""

    IN_FORCE = ("active", "trialing", "past_due", "paused")
    ENDED = ("canceled", "incomplete_expired")

    team = models.OneToOneField(Team, models.PROTECT, primary_key=True, related_name="+")
    stripe_id = models.CharField(max_length=80, unique=True)
    customer_id = models.CharField(max_length=80)
    account = models.CharField(max_length=80, blank=True)  # See StripeCustomer.
    status = models.CharField(max_length=30)  # Stripe's own word.
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    plan_item_id = models.CharField(max_length=80, blank=True)  # "" where the plan costs nothing.
    metered_items = models.JSONField(default=dict)  # Price id → subscription item id.
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    created_at = models.DateTimeField()  # At Stripe: usage before this is never reported.
    cancel_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # Why money did not come, in a sentence; "" while all is well.
    payment_problem = models.CharField(max_length=255, blank=True)
    read_at = models.DateTimeField()  # When the fetch of this state began (our database's clock).
    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                name="billing_subscription_period", condition=Q(period_end__gt=F("period_start"))
            )
        ]

    def __str__(self) -> str:
        return f"{self.stripe_id} ({self.status})"

    @property
    def is_in_force(self) -> bool:
        return self.status in self.IN_FORCE

    @property
    def is_unpaid(self) -> bool:
        """Neither in force nor over: the first payment, or the last ones, did not come."""
        return not self.is_in_force and self.status not in self.ENDED


class StripeInvoice(models.Model):
    """An invoice as Stripe last showed it. Its figures are final; ours explain them."""

    id = models.CharField(max_length=80, primary_key=True)
    account = models.CharField(max_length=80, blank=True)  # See StripeCustomer.
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    status = models.CharField(max_length=20)  # Stripe's own word.
    billing_reason = models.CharField(max_length=40, blank=True)
    number = models.CharField(max_length=80, blank=True)
    total_cents = models.BigIntegerField()
    due_cents = models.BigIntegerField()
    page_url = models.URLField(max_length=500, blank=True)
    pdf_url = models.URLField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    finalized_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField()
    objects = TeamOwnedQuerySet["StripeInvoice"].as_manager()

    class Meta:
        indexes = [Index(name="billing_invoice_by_team", fields=["team", "-created_at"])]

    def __str__(self) -> str:
        return self.number or self.id


class TopUp(models.Model):
    """A purchase of credit. Granted once, when Stripe says it is paid."""

    class Status(models.TextChoices):
        OPEN = "open"
        PAID = "paid"
        FAILED = "failed"
        EXPIRED = "expired"
        REFUNDED = "refunded"

    # The whole life of a top-up. What is not a key is final.
    NEXT = {
        Status.OPEN: {Status.PAID, Status.FAILED, Status.EXPIRED},
        Status.FAILED: {Status.PAID},
        Status.EXPIRED: {Status.PAID},  # Given up by us, with the account that it was opened at.
        Status.PAID: {Status.REFUNDED},
        Status.REFUNDED: {Status.PAID},  # A refund that failed, or a dispute that was won.
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    amount_cents = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    account = models.CharField(max_length=80, blank=True)  # See StripeCustomer.
    session_id = models.CharField(max_length=200, unique=True, null=True)
    checkouts = models.PositiveIntegerField(default=0)  # Opened so far: part of their keys.
    payment_intent = models.CharField(max_length=80, unique=True, null=True)
    returned_cents = models.PositiveIntegerField(default=0)  # Refunded or disputed so far.
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now, editable=False)
    paid_at = models.DateTimeField(null=True)
    objects = TeamOwnedQuerySet["TopUp"].as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                name="billing_topup_paid_has_payment",
                condition=~Q(status__in=["paid", "refunded"])
                | Q(payment_intent__isnull=False, paid_at__isnull=False),
            ),
            CheckConstraint(name="billing_topup_amount", condition=Q(amount_cents__gt=0)),
        ]
        indexes = [Index(name="billing_topup_by_team", fields=["team", "-created_at"])]

    def __str__(self) -> str:
        return f"top-up {self.pk} ({self.status})"

    @property
    def source(self) -> str:
        """The source of the grant: one payment is one grant, however often we hear of it."""
        return f"topup:{self.payment_intent}"

    @property
    def amount_micro(self) -> int:
        return self.amount_cents * MICRO_PER_CENT

    @property
    def kept_cents(self) -> int:
        """What was paid and not returned."""
        return self.amount_cents - self.returned_cents

    def set_returned(self, cents: int) -> None:
        """So much of the payment went back; all of it makes the top-up a refunded one."""
        cents = min(cents, self.amount_cents)
        TopUp.objects.filter(pk=self.pk).update(returned_cents=cents)
        is_whole = cents == self.amount_cents
        self.transition(TopUp.Status.REFUNDED if is_whole else TopUp.Status.PAID)

    def transition(self, to: "TopUp.Status", **facts: object) -> bool:
        """One guarded UPDATE; False when it is there already or may not go there."""
        allowed = [status for status, targets in self.NEXT.items() if to in targets]
        rows = TopUp.objects.filter(pk=self.pk, status__in=allowed)
        is_moved = bool(rows.update(status=to, **facts))
        self.refresh_from_db()
        return is_moved


class Meter(models.Model):
    """The meter at Stripe that counts the units of one SKU."""

    sku = models.CharField(max_length=60, primary_key=True)
    event_name = models.CharField(max_length=100, unique=True)
    account = models.CharField(max_length=80, blank=True)  # See StripeCustomer.
    meter_id = models.CharField(max_length=80, unique=True)


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self) -> Self:
        """Those to process now, oldest first."""
        waiting = self.filter(status=WebhookEvent.Status.WAITING, next_at__lte=Now())
        return waiting.order_by("next_at", "created_at")


class WebhookEvent(models.Model):
    """A message of Stripe's, kept once by its id, and what became of it."""

    class Endpoint(models.TextChoices):
        SNAPSHOT = "snapshot"
        THIN = "thin"

    class Status(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        IGNORED = "ignored", "ignored: nothing of ours follows from this type"
        REFUSED = "refused", "refused: made for another API version"
        FAILED = "failed", "failed: given up after many attempts"

    id = models.CharField(max_length=255, primary_key=True)
    endpoint = models.CharField(max_length=10, choices=Endpoint.choices)
    type = models.CharField(max_length=100)
    api_version = models.CharField(max_length=40, blank=True)  # Of the endpoint; "" when swept.
    created_at = models.DateTimeField()  # At Stripe.
    payload = models.JSONField()
    received_at = models.DateTimeField(default=now, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(default=now)  # Also the claim: a claimed row is due later.
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                name="billing_webhook_processed_iff_done",
                condition=Q(status__in=["done", "ignored"], processed_at__isnull=False)
                | (~Q(status__in=["done", "ignored"]) & Q(processed_at=None)),
            )
        ]
        indexes = [
            Index(
                name="billing_webhook_waiting", fields=["next_at"], condition=Q(status="waiting")
            ),
            Index(name="billing_webhook_by_time", fields=["-received_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def object_id(self) -> str:
        """The id of the object that a snapshot event is about."""
        return str(self.payload.get("data", {}).get("object", {}).get("id") or "")


class OperatorAlert(models.Model):
    """Trouble with money that the operator must look at."""

    key = models.CharField(max_length=200, unique=True)  # The same trouble has one row.
    sentence = models.TextField()
    raised_at = models.DateTimeField(default=now, editable=False)
    times = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField(default=now)
    settled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.sentence[:80]
