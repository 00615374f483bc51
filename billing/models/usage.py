"""Metered use: runs under a lease with the segments they were billed for, and counted events."""

import uuid
from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, RangeOperators
from django.db import models
from django.db.models import CheckConstraint, F, Func, Index, Q, UniqueConstraint, Value
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from billing.models.prices import Rate, single_value_range
from billing.money import amount_micro


class RunEndReason(models.TextChoices):
    """Why a metered run ended."""

    FINISHED = "finished"
    # By its people, at an announced cost, or as its worker left.
    STOPPED = "stopped", "stopped early"
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
    end_reason = models.CharField(max_length=10, choices=RunEndReason.choices, blank=True)
    billed_ms = models.BigIntegerField(default=0)  # Cumulative; only ever grows.
    # The newest heartbeat's own clock, unbilled phases included.
    uptime_ms = models.BigIntegerField(default=0, db_column="alive_ms")
    # What the sender declared free; only ever grows.
    unbilled_ms = models.BigIntegerField(default=0, db_column="free_ms")
    # The reservation pays up to here, never beyond.
    reserved_until_ms = models.BigIntegerField(default=0, db_column="funded_ms")
    # Billed up to the last checkpoint: never refunded as lost.
    checkpointed_ms = models.BigIntegerField(default=0, db_column="kept_ms")
    reserved_micro = models.BigIntegerField(default=0)
    objects = MeteredRunQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(name="billing_run_fence_once_per_source", fields=["source", "fence"]),
            CheckConstraint(
                name="billing_run_lease_after_start", condition=Q(lease_until__gt=F("started_at"))
            ),
            CheckConstraint(
                name="billing_run_amounts_not_negative",
                condition=Q(billed_ms__gte=0, reserved_micro__gte=0, checkpointed_ms__gte=0)
                & Q(checkpointed_ms__lte=F("billed_ms")),
            ),
            CheckConstraint(
                name="billing_run_billed_within_what_is_funded",
                condition=Q(ended_at__isnull=False) | Q(billed_ms__lte=F("reserved_until_ms")),
            ),
            CheckConstraint(
                name="billing_run_reason_iff_ended",
                condition=(Q(ended_at=None) & Q(end_reason=""))
                | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
            ),
            CheckConstraint(
                name="billing_run_reserves_only_while_live",
                condition=Q(ended_at=None) | Q(reserved_micro=0),
            ),
            ExclusionConstraint(
                name="billing_run_one_live_per_source",
                expressions=[
                    (single_value_range("source", "lathe_textrange"), RangeOperators.OVERLAPS),
                    (
                        Func(F("started_at"), F("ended_at"), Value("[)"), function="tstzrange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
        indexes = [
            Index(name="billing_run_live_lease", fields=["lease_until"], condition=Q(ended_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.source} #{self.fence}"

    def price_micro(self, run_ms: int) -> int:
        """What this many milliseconds of the run's own clock cost in all."""
        return amount_micro(run_ms * self.devices, self.rate.nano_per_unit)


class UsageSegment(models.Model):
    """Milliseconds [lower, upper) of a run's own clock, and what they cost. Append-only."""

    run = models.ForeignKey(MeteredRun, models.PROTECT, related_name="segments")
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    source = models.CharField(max_length=80)
    span = BigIntegerRangeField()  # Of the run's cumulative milliseconds.
    device_ms = models.BigIntegerField()  # Span length times devices.
    amount_micro = models.BigIntegerField()
    recorded_at = models.DateTimeField(default=now)
    objects = TeamOwnedQuerySet["UsageSegment"].as_manager()

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="billing_segment_no_millisecond_twice",
                expressions=[
                    (single_value_range("run", "lathe_uuidrange"), RangeOperators.OVERLAPS),
                    ("span", RangeOperators.OVERLAPS),
                ],
            ),
            CheckConstraint(
                name="billing_segment_amounts",
                condition=Q(device_ms__gt=0, amount_micro__gte=0, span__isempty=False),
            ),
        ]
        indexes = [
            Index(name="billing_segment_by_team", fields=["team", "-recorded_at"]),
            Index(name="billing_segment_in_order", fields=["team", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.span}"


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
    objects = TeamOwnedQuerySet["UsageEvent"].as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(
                name="billing_event_counted_once", fields=["team", "source", "event_key"]
            ),
            CheckConstraint(
                name="billing_event_amounts",
                condition=Q(units__gte=0, requests__gte=0, amount_micro__gte=0),
            ),
        ]
        indexes = [
            Index(name="billing_event_by_team", fields=["team", "-occurred_at"]),
            Index(name="billing_event_in_order", fields=["team", "id"]),
        ]

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
            UniqueConstraint(name="billing_counter_once", fields=["team", "kind", "source"]),
            CheckConstraint(name="billing_counter_grows", condition=Q(units__gte=0)),
        ]
