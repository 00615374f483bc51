"""What a team may spend and did spend.

Invariants: money is integers (nano-USD rates, micro-USD amounts); a ledger entry or usage segment
is never changed after it is written (triggers refuse it); a balance is the sum of entries; the
Budget row of a team is always locked before any of its metered runs.
"""

import uuid
from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Sum, Value
from django.utils.timezone import now

from accounts.models import Team
from accounts.visibility import TeamOwnedQuerySet


def just(field: str, range_type: str) -> Func:
    """The range holding exactly this field's value: two of them overlap when they are equal.

    GiST indexes ranges natively, whereas scalar equality needs the btree_gist extension, which
    neither the embedded PostgreSQL nor every managed one offers.
    """
    return Func(F(field), F(field), Value("[]"), function=range_type)


class Plan(models.Model):
    """What a team has bought: how much may run at once and what a month costs."""

    code = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    monthly_cents = models.PositiveIntegerField(default=0)
    concurrency = models.PositiveSmallIntegerField(default=1)  # Jobs of one team running at once.
    order = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class RateQuerySet(models.QuerySet["Rate"]):
    def current(self, sku: str) -> "Rate":
        """The rate in force now. Raises Rate.DoesNotExist for an unpriced SKU."""
        return self.get(sku=sku, valid__contains=now())


class Rate(models.Model):
    """The price of one unit of a SKU during a span of time. Superseded, never edited."""

    sku = models.CharField(max_length=60)  # A compute class's code, or "inference-tokens".
    nano_per_unit = models.BigIntegerField()  # Nano-USD per device-second, or per token.
    valid = DateTimeRangeField()
    stripe_price_id = models.CharField(max_length=80, blank=True)
    objects = RateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_rate_not_negative", condition=Q(nano_per_unit__gte=0)
            ),
            ExclusionConstraint(
                name="billing_rate_one_at_a_time",
                expressions=[
                    (just("sku", "lathe_textrange"), RangeOperators.OVERLAPS),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku}: {self.nano_per_unit} nano-USD"


class BudgetQuerySet(TeamOwnedQuerySet["Budget"]):
    pass


class Budget(models.Model):
    """The one row per team that everything which spends locks first."""

    team = models.OneToOneField(Team, models.CASCADE, primary_key=True, related_name="+")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    cap_micro = models.BigIntegerField(null=True, blank=True)  # Micro-USD a month; null: no cap.
    period_start = models.DateTimeField()  # First moment of the month that spent_micro counts.
    spent_micro = models.BigIntegerField(default=0)  # This period's usage, refunds taken off.
    reserved_micro = models.BigIntegerField(default=0)  # Held for live leases.
    objects = BudgetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_budget_reserved_not_negative", condition=Q(reserved_micro__gte=0)
            ),
            models.CheckConstraint(
                name="billing_budget_cap_not_negative",
                condition=Q(cap_micro=None) | Q(cap_micro__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return f"Budget of {self.team}"

    @property
    def left_micro(self) -> int | None:
        """Micro-USD that may still be spent this period; None without a cap."""
        if self.cap_micro is None:
            return None
        return max(0, self.cap_micro - self.spent_micro - self.reserved_micro)


class RunEnd(models.TextChoices):
    """Why a metered run ended."""

    FINISHED = "finished"
    STOPPED = "stopped", "stopped by the user"
    CAP = "cap", "spend cap reached"
    LEASE = "lease", "worker fell silent"
    FAILED = "failed"


class MeteredRunQuerySet(TeamOwnedQuerySet["MeteredRun"]):
    def live(self) -> Self:
        return self.filter(ended_at=None)


class MeteredRun(models.Model):
    """One span of metered compute under a lease that the server grants and may refuse to renew.

    `source` names the cause ("training-job:<id>"); the same source never has two live runs.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    source = models.CharField(max_length=80)
    fence = models.PositiveIntegerField()  # 1, 2, 3 … per source; an old fence is refused.
    rate = models.ForeignKey(Rate, models.PROTECT, related_name="+")
    devices = models.PositiveSmallIntegerField(default=1)
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=10, choices=RunEnd.choices, blank=True)
    billed_ms = models.BigIntegerField(default=0)  # Cumulative; only ever grows.
    alive_ms = models.BigIntegerField(default=0)  # The newest heartbeat's own clock.
    kept_ms = models.BigIntegerField(default=0)  # Billed up to the last checkpoint: never refunded.
    reserved_micro = models.BigIntegerField(default=0)
    objects = MeteredRunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="billing_run_fence_once_per_source", fields=["source", "fence"]
            ),
            models.CheckConstraint(
                name="billing_run_lease_after_start", condition=Q(lease_until__gt=F("started_at"))
            ),
            models.CheckConstraint(
                name="billing_run_amounts_not_negative",
                condition=Q(billed_ms__gte=0, reserved_micro__gte=0, kept_ms__gte=0)
                & Q(kept_ms__lte=F("billed_ms")),
            ),
            models.CheckConstraint(
                name="billing_run_reason_iff_ended",
                condition=(Q(ended_at=None) & Q(end_reason=""))
                | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
            ),
            models.CheckConstraint(
                name="billing_run_reserves_only_while_live",
                condition=Q(ended_at=None) | Q(reserved_micro=0),
            ),
            ExclusionConstraint(
                name="billing_run_one_live_per_source",
                expressions=[
                    (just("source", "lathe_textrange"), RangeOperators.OVERLAPS),
                    (
                        Func(F("started_at"), F("ended_at"), Value("[)"), function="tstzrange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
        indexes = [
            models.Index(
                name="billing_run_live_lease", fields=["lease_until"], condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} #{self.fence}"


class UsageSegmentQuerySet(TeamOwnedQuerySet["UsageSegment"]):
    pass


class UsageSegment(models.Model):
    """Milliseconds [lower, upper) of a run's own clock, and what they cost. Append-only."""

    run = models.ForeignKey(MeteredRun, models.PROTECT, related_name="segments")
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    source = models.CharField(max_length=80)
    span = BigIntegerRangeField()  # Of the run's cumulative milliseconds.
    device_ms = models.BigIntegerField()  # Span length times devices.
    amount_micro = models.BigIntegerField()
    recorded_at = models.DateTimeField(default=now)
    objects = UsageSegmentQuerySet.as_manager()

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="billing_segment_no_millisecond_twice",
                expressions=[
                    (just("run", "lathe_uuidrange"), RangeOperators.OVERLAPS),
                    ("span", RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                name="billing_segment_amounts",
                condition=Q(device_ms__gt=0, amount_micro__gte=0, span__isempty=False),
            ),
        ]
        indexes = [models.Index(name="billing_segment_by_team", fields=["team", "-recorded_at"])]

    def __str__(self) -> str:
        return f"{self.source} {self.span}"


class UsageEventQuerySet(TeamOwnedQuerySet["UsageEvent"]):
    pass


class UsageEvent(models.Model):
    """A counted quantity such as tokens answered. The same source and key is the same fact."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=40)  # The SKU, for example "inference-tokens".
    source = models.CharField(max_length=80)  # For example "deployment:<id>".
    event_key = models.CharField(max_length=120)
    token_prefix = models.CharField(max_length=16, blank=True)  # Which API token asked.
    units = models.BigIntegerField()
    requests = models.BigIntegerField(default=0)
    amount_micro = models.BigIntegerField(default=0)
    occurred_at = models.DateTimeField(default=now)
    objects = UsageEventQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="billing_event_counted_once", fields=["team", "source", "event_key"]
            ),
            models.CheckConstraint(
                name="billing_event_amounts",
                condition=Q(units__gte=0, requests__gte=0, amount_micro__gte=0),
            ),
        ]
        indexes = [models.Index(name="billing_event_by_team", fields=["team", "-occurred_at"])]

    def __str__(self) -> str:
        return f"{self.units} {self.kind}"


class UsageCounter(models.Model):
    """The running total of one source's units, so that rounding down never loses a fraction."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=40)
    source = models.CharField(max_length=80)
    units = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="billing_counter_once", fields=["team", "kind", "source"]),
            models.CheckConstraint(name="billing_counter_grows", condition=Q(units__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.units} {self.kind}"


class LedgerEntryQuerySet(TeamOwnedQuerySet["LedgerEntry"]):
    def total_micro(self) -> int:
        """The signed sum: what is owed (positive) over these entries."""
        return self.aggregate(total=Sum("amount_micro"))["total"] or 0


class LedgerEntry(models.Model):
    """One signed amount: positive is owed by the team, negative is given back. Append-only.

    `source` is the entry's cause and is unique, so a cause is booked once.
    """

    class Kind(models.TextChoices):
        COMPUTE = "compute"
        INFERENCE = "inference"
        REFUND = "refund"
        CREDIT = "credit"
        ADJUSTMENT = "adjustment"

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    amount_micro = models.BigIntegerField()
    source = models.CharField(max_length=120, unique=True)  # For example "segment:41".
    about = models.CharField(max_length=80, blank=True)  # For example "training-job:<id>".
    note = models.CharField(max_length=255, blank=True)
    occurred_at = models.DateTimeField(default=now)
    reverses = models.OneToOneField("self", models.PROTECT, null=True, related_name="reversed_by")
    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(name="billing_ledger_by_team", fields=["team", "-occurred_at"]),
            models.Index(name="billing_ledger_by_about", fields=["about"]),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.amount_micro} micro-USD"
