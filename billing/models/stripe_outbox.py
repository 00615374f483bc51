"""Usage to be reported to Stripe, what was reported, and where its figures and ours differ.

Invariants: a usage segment, usage event or ledger entry is carried into the outbox at most once
(primary keys); within a stream, what was reported is the whole units of what was used; every event
of a team and meter has a minute of its own; a row is never deleted and its amounts never change.
"""

from datetime import UTC, datetime
from typing import Self

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from billing.models.ledger import LedgerEntry
from billing.models.usage import UsageEvent, UsageSegment

SUBSCRIPTION_ID_LENGTH = 80  # Of a subscription's id at Stripe.


class StripeOutboxQuerySet(TeamOwnedQuerySet["StripeOutbox"]):
    def undelivered(self) -> Self:
        """Rows that a sender still has to do something about."""
        return self.filter(status__in=StripeOutbox.UNDELIVERED)

    def due(self, moment: datetime) -> Self:
        """Undelivered rows whose turn has come and that no sender holds."""
        is_free = Q(claimed_until=None) | Q(claimed_until__lte=moment)
        return self.undelivered().filter(is_free, next_at__lte=moment)


class StripeOutbox(models.Model):
    """One thing to tell Stripe: metered use, or an amount on the meter of adjustments."""

    class Status(models.TextChoices):
        LOCAL = "local"  # Billed on our ledger alone.
        PENDING = "pending"  # Certainly not delivered yet.
        UNKNOWN = "unknown"  # Tried; it may have been delivered.
        SENT = "sent"
        MOVED = "moved", "moved: its amount goes with a later row"
        DEAD = "dead"  # Refused by Stripe, or accepted and then lost.

    UNDELIVERED = (Status.PENDING, Status.UNKNOWN)

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    meter = models.CharField(max_length=60)  # The SKU that is metered.
    # "" for local rows.
    subscription = models.CharField(max_length=SUBSCRIPTION_ID_LENGTH, blank=True)
    customer = models.CharField(max_length=80, blank=True)  # Frozen: a repeat must be the same.
    event_name = models.CharField(max_length=100, blank=True)  # The meter's name at Stripe.
    entry = models.ForeignKey(LedgerEntry, models.PROTECT, null=True, related_name="+")
    sequence = models.PositiveIntegerField(db_column="seq")  # 1, 2, 3 … per team and meter.
    identifier = models.CharField(max_length=90, unique=True)  # Stripe takes 100.
    minute = models.BigIntegerField()  # Minutes since 1970: this row's alone.
    value = models.BigIntegerField()  # Whole seconds, tokens or millionths of a dollar.
    amount_micro = models.BigIntegerField()  # What the ledger holds for the same.
    period_end = models.DateTimeField(null=True)  # Of the service period the minute lies in.
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    # Part of the idempotency key.
    idempotency_generation = models.PositiveIntegerField(default=0, db_column="gen")
    # Part of the identifier after an event that Stripe accepted and lost.
    identifier_suffix = models.PositiveIntegerField(default=0, db_column="copy")
    tries = models.PositiveIntegerField(default=0)
    # Look for it at Stripe before sending again.
    verify_before_send = models.BooleanField(default=False, db_column="must_ask")
    created_at = models.DateTimeField(default=now)
    first_try_at = models.DateTimeField(null=True)  # First call whose effect is not excluded.
    last_try_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)  # A sender is calling Stripe until then.
    next_at = models.DateTimeField(default=now)
    sent_at = models.DateTimeField(null=True)
    reference = models.CharField(max_length=80, blank=True)  # The later row that took it over.
    last_error = models.CharField(max_length=500, blank=True)
    objects = StripeOutboxQuerySet.as_manager()

    class Meta:
        verbose_name = "Stripe outbox row"
        constraints = [
            UniqueConstraint(name="billing_outbox_seq_once", fields=["team", "meter", "sequence"]),
            UniqueConstraint(
                name="billing_outbox_minute_of_its_own", fields=["team", "meter", "minute"]
            ),
            CheckConstraint(name="billing_outbox_adds", condition=Q(value__gt=0)),
            CheckConstraint(
                name="billing_outbox_local_without_subscription",
                condition=Q(subscription="", status="local")
                | (~Q(subscription="") & ~Q(customer="") & ~Q(status="local")),
            ),
            CheckConstraint(
                name="billing_outbox_sent_iff_when",
                condition=Q(status="sent", sent_at__isnull=False)
                | (~Q(status="sent") & Q(sent_at=None)),
            ),
            CheckConstraint(
                name="billing_outbox_unknown_was_tried",
                condition=~Q(status="unknown") | Q(first_try_at__isnull=False),
            ),
        ]
        indexes = [
            Index(
                name="billing_outbox_due",
                fields=["next_at"],
                condition=Q(status__in=["pending", "unknown"]),
            ),
            Index(name="billing_outbox_by_status", fields=["status", "-created_at"]),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def happened_at(self) -> datetime:
        """The start of the row's own minute."""
        return datetime.fromtimestamp(self.minute * 60, UTC)

    @property
    def wire_identifier(self) -> str:
        """The identifier as Stripe sees it."""
        suffix = f":{self.identifier_suffix}" if self.identifier_suffix else ""
        return f"{self.identifier}{suffix}"

    @property
    def idempotency_key(self) -> str:
        return f"me:{self.wire_identifier}:{self.idempotency_generation}"


class StripeOutboxItem(models.Model):
    """A usage segment that was carried into the outbox: once, as the primary key says."""

    segment = models.OneToOneField(UsageSegment, models.PROTECT, primary_key=True, related_name="+")
    # Null: less than a second, carried into a later row.
    outbox = models.ForeignKey(StripeOutbox, models.PROTECT, null=True, related_name="items")


class StripeOutboxEvent(models.Model):
    """A usage event that was carried into the outbox: once, as the primary key says."""

    event = models.OneToOneField(UsageEvent, models.PROTECT, primary_key=True, related_name="+")
    outbox = models.ForeignKey(StripeOutbox, models.PROTECT, null=True, related_name="events")


class StripeOutboxEntry(models.Model):
    """An adjustment of the ledger that was carried into the outbox, once."""

    entry = models.OneToOneField(LedgerEntry, models.PROTECT, primary_key=True, related_name="+")


class MeterProgress(models.Model):
    """How much of one meter was used and reported in one stream; the rest is a fraction of a unit.

    A stream is one subscription, or "" for what only our ledger bills.
    """

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    meter = models.CharField(max_length=60)
    subscription = models.CharField(max_length=SUBSCRIPTION_ID_LENGTH, blank=True)
    unit = models.PositiveIntegerField()  # 1000 for milliseconds, 1 for tokens.
    used = models.BigIntegerField(default=0)  # Milliseconds or tokens, refunds taken off.
    reported = models.BigIntegerField(default=0)  # Whole seconds or tokens.
    carried_micro = models.BigIntegerField(default=0)  # Of usage that no row holds yet.
    upto_segment = models.BigIntegerField(default=0)  # The newest one this stream has taken in.
    upto_event = models.BigIntegerField(default=0)
    objects = TeamOwnedQuerySet["MeterProgress"].as_manager()

    class Meta:
        db_table = "billing_reported"  # The name it was created under.
        verbose_name_plural = "reported"
        constraints = [
            UniqueConstraint(
                name="billing_reported_once_per_lane", fields=["team", "meter", "subscription"]
            ),
            CheckConstraint(
                name="billing_reported_whole_units",
                condition=Q(used__gte=0, unit__gt=0, reported=F("used") / F("unit")),
            ),
        ]

    def add(self, units: int, micro: int) -> tuple[int, int]:
        """Take in use: the whole units and micro-USD for a row now, (0, 0) while it is carried."""
        self.used += units
        self.carried_micro += micro
        value = self.used // self.unit - self.reported
        if value == 0:
            return 0, 0
        self.reported += value
        amount, self.carried_micro = self.carried_micro, 0
        return value, amount


class Reconciliation(models.Model):
    """One place where our figures and Stripe's differ, or did."""

    class Scope(models.TextChoices):
        QUANTITY = "quantity", "line: units"
        AMOUNT = "amount", "line: cents"
        CREDIT = "credit", "invoice: credit taken off, in cents"
        BALANCE = "balance", "credit balance in cents"

    class State(models.TextChoices):
        OPEN = "open"
        SETTLED = "settled"  # The figures agree now.
        REPAIRED = "repaired"  # By somebody, who made good the difference.

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    meter = models.CharField(max_length=60)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    invoice = models.CharField(max_length=80, blank=True)
    ours = models.BigIntegerField()
    theirs = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    found_at = models.DateTimeField(default=now)
    checked_at = models.DateTimeField(default=now)
    objects = TeamOwnedQuerySet["Reconciliation"].as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(
                name="billing_reconciliation_once",
                fields=["team", "meter", "scope", "starts_at", "invoice"],
            ),
            CheckConstraint(
                name="billing_reconciliation_open_differs",
                condition=~Q(state="open") | ~Q(ours=F("theirs")),
            ),
        ]
        indexes = [Index(name="billing_reconciliation_open", fields=["state", "-found_at"])]

    def __str__(self) -> str:
        return f"{self.meter} {self.starts_at:%Y-%m-%d %H:%M}: {self.drift:+}"

    @property
    def drift(self) -> int:
        """Ours less Stripe's."""
        return self.ours - self.theirs
