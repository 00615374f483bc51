"""The metering rule: leases, cumulative heartbeats and what they cost.

Invariants: (1) the Budget row is locked before the run; (2) `billed_ms` only grows, by segments
that the database forbids to overlap; (3) nothing is billed beyond `reserved_until_ms`, which the
reservation pays for, and a lease that is used up for work never outlives it; (4) time is never
billed past the lease, past the database's own clock, or once the sender has declared it free.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.db.models import F

from accounts.models import Team
from billing.budgets import alerts
from billing.budgets.budget import lock_budget
from billing.ledger.posting import post_entry
from billing.models import Budget, LedgerEntry, MeteredRun, Rate, RunEndReason, UsageSegment
from billing.money import affordable_ms, ceil_micro
from web.errors import UserError

# In SQL, because these go out for every job that starts, and in one statement cost a third.
_RATE_AND_FENCE_SQL = f"""
SELECT rate.*, clock_timestamp() AS moment,
    (SELECT coalesce(max(fence), 0) FROM {MeteredRun._meta.db_table} WHERE source = %(source)s)
    AS last_fence
FROM {Rate._meta.db_table} rate WHERE sku = %(sku)s AND valid @> clock_timestamp()
"""


class CapReached(UserError):
    code, status = "spend_cap_reached", 402
    sentence = (
        "This team has reached its monthly spend cap. "
        "Raise the cap on the Usage & billing page, or wait for the next month."
    )


class LeaseDecision(StrEnum):
    """What a heartbeat's sender must do next."""

    CONTINUE = "go_on"
    STALE = "stale"  # A duplicate or late message: nothing was billed or renewed.
    FENCED = "fenced"  # The run is over or another holds it: stop without saving.
    CAP_REACHED = "stop_cap"  # The money is spent: save and stop. Nothing more is billed meanwhile.


@dataclass(frozen=True)
class HeartbeatResult:
    """The answer to one heartbeat."""

    decision: LeaseDecision
    lease_seconds: float = 0.0  # How long the renewed lease lasts from now.


def open_run(
    team: Team, source: str, sku: str, devices: int = 1, *, budget: Budget | None = None
) -> MeteredRun:
    """Start metering a source under a first lease. Call inside a transaction.

    Raises CapReached when the money left does not pay for one heartbeat. The source must have
    no live run: the exclusion constraint refuses a second one. `budget`: the team's, from a
    caller that has locked it already.
    """
    budget = budget or lock_budget(team.pk)
    rate, fence, started_at = _rate_and_fence(source, sku)
    run = MeteredRun(
        team=team, source=source, fence=fence, rate=rate, devices=devices, started_at=started_at
    )
    if not _renew_lease(run, budget, started_at, is_free=False):
        raise CapReached
    run.save(force_insert=True)
    budget.save(update_fields=["reserved_micro"])
    return run


@transaction.atomic
def heartbeat(
    run_id: UUID, fence: int, run_ms: int, *, uptime_ms: int | None = None, is_free: bool = False
) -> HeartbeatResult:
    """Bill a run up to `run_ms`, its sender's cumulative billable milliseconds since the start.

    `uptime_ms` is the sender's running time with unbilled phases included (default: run_ms), and
    `is_free` says that it is in such a phase now, which needs no money to go on. The same or an
    older `uptime_ms` again bills nothing and renews nothing, so a redelivered message can never
    keep a dead worker's lease alive.
    """
    locked = _lock_fenced_run(run_id, fence)
    if locked is None:
        return HeartbeatResult(LeaseDecision.FENCED)
    run, budget = locked
    moment = _database_now()
    if run.ended_at is not None:  # Its reservation is gone, so nothing more may be taken.
        return HeartbeatResult(LeaseDecision.FENCED)
    uptime_ms = run_ms if uptime_ms is None else uptime_ms
    if uptime_ms <= run.uptime_ms:
        return HeartbeatResult(LeaseDecision.STALE)
    _bill_segment(run, budget, run_ms, moment)
    _record_clock(run, run_ms, uptime_ms, moment)
    decision = LeaseDecision.CONTINUE
    if moment > run.lease_until:
        decision = LeaseDecision.FENCED
    elif not _renew_lease(run, budget, moment, is_free=is_free):
        _release_funds(run, budget, moment)
        decision = LeaseDecision.CAP_REACHED
    else:  # Work that the last funds did not reach is paid for by the new ones, now and not later.
        _bill_segment(run, budget, run_ms, moment)
    run.save()
    budget.save(update_fields=["spent_micro", "reserved_micro"])
    alerts.notify_thresholds(budget, is_spent=decision == LeaseDecision.CAP_REACHED)
    return HeartbeatResult(decision, (run.lease_until - moment).total_seconds())


@transaction.atomic
def end_run(run_id: UUID, reason: RunEndReason) -> MeteredRun:
    """Close a live run now, from outside its worker. Ending an ended run changes nothing."""
    run, budget = lock_run(run_id)
    if run.ended_at is None:
        _close(run, budget, _database_now(), reason)
        run.save()
        budget.save(update_fields=["reserved_micro"])
    return run


@transaction.atomic
def expire_lease(run_id: UUID) -> bool:
    """Close a run whose lease has run out, at the lease's end. False when it has not run out."""
    run, budget = lock_run(run_id)
    if run.ended_at is not None or run.lease_until >= _database_now():
        return False
    _close(run, budget, run.lease_until, RunEndReason.LEASE)
    run.save()
    budget.save(update_fields=["reserved_micro"])
    return True


@transaction.atomic
def mark_checkpointed(run_id: UUID, fence: int) -> None:
    """Mark what was billed so far as kept: a checkpoint holds it, so it is never refunded."""
    if _lock_fenced_run(run_id, fence) is not None:
        MeteredRun.objects.filter(pk=run_id).update(checkpointed_ms=F("billed_ms"))


@transaction.atomic
def refund_lost_work(run_id: UUID, note: str) -> int:
    """Give back, once for a run, what was billed after its last checkpoint; micro-USD."""
    run, budget = lock_run(run_id)
    source = f"refund:run:{run.pk}"
    if LedgerEntry.objects.filter(source=source).exists():
        return 0
    lost = run.price_micro(run.billed_ms) - run.price_micro(run.checkpointed_ms)
    return post_refund(run, budget, min(lost, unrefunded_micro(run)), source, note)


@transaction.atomic
def refund_run(run_id: UUID, note: str) -> int:
    """Give back whatever of a run's charge has not been given back yet; micro-USD."""
    run, budget = lock_run(run_id)
    return post_refund(run, budget, unrefunded_micro(run), f"refund:run:{run.pk}:rest", note)


def refund_source(source: str, note: str) -> int:
    """Give back everything charged for a source, such as a job that failed by our fault."""
    runs = MeteredRun.objects.filter(source=source).order_by("fence")
    return sum(refund_run(run_id, note) for run_id in runs.values_list("pk", flat=True))


def unrefunded_micro(run: MeteredRun) -> int:
    """What the run was charged and has not been given back."""
    refunds = LedgerEntry.objects.filter(run=run, kind=LedgerEntry.Kind.REFUND)
    return run.price_micro(run.billed_ms) + refunds.total_micro()


def post_refund(run: MeteredRun, budget: Budget, amount: int, source: str, note: str) -> int:
    """Post a refund of a locked run, if it is of anything; returns the amount."""
    if amount <= 0:
        return 0
    entry = LedgerEntry(
        kind=LedgerEntry.Kind.REFUND, amount_micro=-amount, source=source, note=note
    )
    entry.about, entry.run, entry.sku = run.source, run, run.rate.sku
    post_entry(budget, entry)
    budget.save(update_fields=["spent_micro"])
    return amount


def _lock_fenced_run(run_id: UUID, fence: int) -> tuple[MeteredRun, Budget] | None:
    """The run and its budget, locked in that order; None for an unknown run or an old fence."""
    row = MeteredRun.objects.filter(pk=run_id, fence=fence)
    team_id = row.values_list("team_id", flat=True).first()
    return None if team_id is None else _lock_budget_and_run(run_id, team_id)


def lock_run(run_id: UUID) -> tuple[MeteredRun, Budget]:
    team_id = MeteredRun.objects.values_list("team_id", flat=True).get(pk=run_id)
    return _lock_budget_and_run(run_id, team_id)


def _lock_budget_and_run(run_id: UUID, team_id: UUID) -> tuple[MeteredRun, Budget]:
    budget = lock_budget(team_id)
    run = MeteredRun.objects.select_for_update(of=("self",)).select_related("rate").get(pk=run_id)
    return run, budget


def _bill_segment(run: MeteredRun, budget: Budget, run_ms: int, moment: datetime) -> None:
    """Write the segment from billed_ms to run_ms, clipped to lease and funds, if any is new."""
    passed_ms = _elapsed_ms(run, min(moment, run.lease_until))
    upto = min(run_ms, passed_ms - run.unbilled_ms, run.reserved_until_ms)
    if upto <= run.billed_ms:
        return
    amount = run.price_micro(upto) - run.price_micro(run.billed_ms)
    segment = UsageSegment.objects.create(
        run=run,
        team_id=run.team_id,
        source=run.source,
        span=NumericRange(run.billed_ms, upto),
        device_ms=(upto - run.billed_ms) * run.devices,
        amount_micro=amount,
        recorded_at=max(moment, budget.period_start),
    )
    if amount:
        charge = LedgerEntry(
            kind=LedgerEntry.Kind.COMPUTE,
            amount_micro=amount,
            source=f"segment:{segment.pk}",
            about=run.source,
            run=run,
            sku=run.rate.sku,
        )
        post_entry(budget, charge, at=segment.recorded_at)
    run.billed_ms = upto
    _reserve_unbilled_funds(run, budget)


def _elapsed_ms(run: MeteredRun, moment: datetime) -> int:
    return max(0, int((moment - run.started_at) / timedelta(milliseconds=1)))


def _record_clock(run: MeteredRun, run_ms: int, uptime_ms: int, moment: datetime) -> None:
    """Store the sender's clock: time that was free once can never be billed."""
    passed_ms = min(uptime_ms, _elapsed_ms(run, moment))
    run.unbilled_ms = max(run.unbilled_ms, passed_ms - max(run_ms, run.billed_ms))
    run.uptime_ms = uptime_ms


def _renew_lease(run: MeteredRun, budget: Budget, moment: datetime, *, is_free: bool) -> bool:
    """Extend the lease as far as time and money allow, reserving that money.

    False when the sender needs money and what is left does not pay for one more heartbeat; the
    run is unchanged then. A free phase is never short of money: it keeps its lease and is funded
    with what there is, so that work beginning within the lease cannot pass the cap either.
    """
    nano, lease_ms = run.rate.nano_per_unit, int(settings.LEASE_SECONDS * 1000)
    passed_ms = _elapsed_ms(run, moment)
    most_ms = passed_ms - run.unbilled_ms + lease_ms  # All that could be billed by the lease's end.
    until = moment + timedelta(milliseconds=2 * lease_ms)
    free_micro = budget.available_micro(until, besides_micro=run.reserved_micro)
    # From the run's beginning on, so that no fraction of a micro-dollar is counted twice.
    whole_micro = None if free_micro is None else free_micro + run.price_micro(run.billed_ms)
    paid_ms = None if whole_micro is None else affordable_ms(whole_micro, nano, run.devices)
    if paid_ms is not None and paid_ms < most_ms:
        most_ms = max(run.billed_ms, paid_ms)
        if not is_free:
            lease_ms = most_ms + run.unbilled_ms - passed_ms
            if lease_ms < settings.HEARTBEAT_SECONDS * 1000:
                return False
    run.reserved_until_ms = most_ms
    _reserve_unbilled_funds(run, budget)
    run.lease_until = moment + timedelta(milliseconds=lease_ms)
    return True


def _release_funds(run: MeteredRun, budget: Budget, moment: datetime) -> None:
    """Release the money but not the run: its worker may save, and nothing more is billed."""
    run.reserved_until_ms = run.billed_ms
    _reserve_unbilled_funds(run, budget)
    run.lease_until = moment + timedelta(seconds=settings.LEASE_SECONDS)


def _reserve_unbilled_funds(run: MeteredRun, budget: Budget) -> None:
    """Hold exactly what may still be billed: spent and reserved together never pass the cap."""
    if run.reserved_until_ms <= run.billed_ms:
        _set_reservation(run, budget, 0)
        return
    whole = ceil_micro(run.reserved_until_ms * run.devices, run.rate.nano_per_unit)
    _set_reservation(run, budget, whole - run.price_micro(run.billed_ms))


def _set_reservation(run: MeteredRun, budget: Budget, amount: int) -> None:
    budget.reserved_micro += amount - run.reserved_micro
    run.reserved_micro = amount


def _close(run: MeteredRun, budget: Budget, moment: datetime, reason: RunEndReason) -> None:
    run.ended_at = max(moment, run.started_at)
    run.end_reason = reason
    _set_reservation(run, budget, 0)


def _rate_and_fence(source: str, sku: str) -> tuple[Rate, int, datetime]:
    """In one query: the rate in force, the source's next fence, the database's clock."""
    rate = next(iter(Rate.objects.raw(_RATE_AND_FENCE_SQL, {"sku": sku, "source": source})), None)
    if rate is None:
        raise Rate.DoesNotExist(f"{sku} has no price")
    columns = vars(rate)  # What a raw query adds is unknown to type checkers.
    return rate, columns["last_fence"] + 1, columns["moment"]


def _database_now() -> datetime:
    """The database's clock, so that skewed workers cannot bill time that has not passed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
