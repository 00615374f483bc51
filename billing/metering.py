"""The metering rule: leases, cumulative heartbeats and what they cost.

Invariants: (1) the Budget row is locked before the run; (2) `billed_ms` only grows, by segments
that the database forbids to overlap; (3) a lease never outlives the money that is left; (4) time
is never billed past the lease or past the database's own clock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.db.models import F, Max

from accounts.models import Team
from billing import budget as budgets
from billing.booking import Fact, book
from billing.errors import CapReached
from billing.models import Budget, LedgerEntry, MeteredRun, Rate, RunEnd, UsageSegment
from billing.money import affordable_ms, amount_micro, ceil_micro


class Verdict(StrEnum):
    """What a heartbeat's sender must do next."""

    GO_ON = "go_on"
    STALE = "stale"  # A duplicate or late message: nothing was billed or renewed.
    FENCED = "fenced"  # The run is over or another holds it: stop without saving.
    CAP = "stop_cap"  # The money is spent: save and stop.


@dataclass(frozen=True)
class Pulse:
    """The answer to one heartbeat."""

    verdict: Verdict
    lease_seconds: float = 0.0  # How long the renewed lease lasts from now.


def open_run(team: Team, source: str, sku: str, devices: int = 1) -> MeteredRun:
    """Start metering a source under a first lease. Call inside a transaction.

    Raises CapReached when the money left does not pay for one heartbeat. The source must have
    no live run: the exclusion constraint refuses a second one.
    """
    budget = budgets.lock(team.pk)
    rate = Rate.objects.current(sku)
    started_at = _database_now()
    last = MeteredRun.objects.filter(source=source).aggregate(fence=Max("fence"))["fence"] or 0
    run = MeteredRun(
        team=team, source=source, fence=last + 1, rate=rate, devices=devices, started_at=started_at
    )
    if not _renew(run, budget, started_at):
        raise CapReached
    run.save(force_insert=True)
    budget.save(update_fields=["reserved_micro"])
    return run


@transaction.atomic
def heartbeat(run_id: UUID, fence: int, run_ms: int, *, alive_ms: int | None = None) -> Pulse:
    """Bill a run up to `run_ms`, its sender's cumulative billable milliseconds since the start.

    `alive_ms` is the sender's running time with unbilled phases included (default: run_ms). The
    same or an older one again bills nothing and renews nothing, so a redelivered message can
    never keep a dead worker's lease alive.
    """
    held = _locked(run_id, fence)
    if held is None:
        return Pulse(Verdict.FENCED)
    run, budget = held
    moment = _database_now()
    if run.ended_at is not None:  # Its reservation is gone, so nothing more may be taken.
        return Pulse(Verdict.FENCED)
    alive_ms = run_ms if alive_ms is None else alive_ms
    if alive_ms <= run.alive_ms:
        return Pulse(Verdict.STALE)
    run.alive_ms = alive_ms
    _bill(run, budget, run_ms, moment)
    verdict = Verdict.GO_ON
    if moment > run.lease_until:
        verdict = Verdict.FENCED
    elif not _renew(run, budget, moment):
        _close(run, budget, moment, RunEnd.CAP)
        verdict = Verdict.CAP
    run.save()
    budget.save(update_fields=["spent_micro", "reserved_micro"])
    return Pulse(verdict, (run.lease_until - moment).total_seconds())


@transaction.atomic
def end(run_id: UUID, reason: RunEnd) -> MeteredRun:
    """Close a live run now, from outside its worker. Ending an ended run changes nothing."""
    run, budget = _lock_run(run_id)
    if run.ended_at is None:
        _close(run, budget, _database_now(), reason)
        run.save()
        budget.save(update_fields=["reserved_micro"])
    return run


@transaction.atomic
def reap(run_id: UUID) -> bool:
    """Close a run whose lease has run out, at the lease's end. False when it is not so."""
    run, budget = _lock_run(run_id)
    if run.ended_at is not None or run.lease_until >= _database_now():
        return False
    _close(run, budget, run.lease_until, RunEnd.LEASE)
    run.save()
    budget.save(update_fields=["reserved_micro"])
    return True


@transaction.atomic
def keep(run_id: UUID, fence: int) -> None:
    """Mark what was billed so far as kept: a checkpoint holds it, so it is never refunded."""
    held = _locked(run_id, fence)
    if held is not None:
        MeteredRun.objects.filter(pk=run_id).update(kept_ms=F("billed_ms"))


@transaction.atomic
def refund_lost_work(run_id: UUID, note: str) -> int:
    """Give back what was billed after the run's last checkpoint; micro-USD, 0 if nothing.

    One visible ledger entry per run: refunding twice is the same fact.
    """
    run, budget = _lock_run(run_id)
    source = f"refund:run:{run.pk}"
    if LedgerEntry.objects.filter(source=source).exists():
        return 0
    return _refund(run, budget, source, _price(run, run.billed_ms) - _price(run, run.kept_ms), note)


@transaction.atomic
def refund_run(run_id: UUID, note: str) -> int:
    """Give back whatever of a run's charge has not been given back yet; micro-USD."""
    run, budget = _lock_run(run_id)
    given_back = LedgerEntry.objects.filter(source__startswith=f"refund:run:{run.pk}").total_micro()
    rest = _price(run, run.billed_ms) + given_back
    return _refund(run, budget, f"refund:run:{run.pk}:rest", rest, note)


def refund_source(source: str, note: str) -> int:
    """Give back everything charged for a source, such as a job that failed by our fault."""
    runs = MeteredRun.objects.filter(source=source).order_by("fence")
    return sum(refund_run(run_id, note) for run_id in runs.values_list("pk", flat=True))


def _refund(run: MeteredRun, budget: Budget, source: str, amount: int, note: str) -> int:
    if amount <= 0:
        return 0
    fact = Fact(source=source, about=run.source, note=note, run=run, sku=run.rate.sku)
    book(budget, LedgerEntry.Kind.REFUND, -amount, fact)
    budget.save(update_fields=["spent_micro"])
    return amount


def _locked(run_id: UUID, fence: int) -> tuple[MeteredRun, Budget] | None:
    """The run and its budget, locked in that order; None for an unknown run or an old fence."""
    if not MeteredRun.objects.filter(pk=run_id, fence=fence).exists():
        return None
    return _lock_run(run_id)


def _lock_run(run_id: UUID) -> tuple[MeteredRun, Budget]:
    team_id = MeteredRun.objects.values_list("team_id", flat=True).get(pk=run_id)
    budget = budgets.lock(team_id)
    run = MeteredRun.objects.select_for_update(of=("self",)).select_related("rate").get(pk=run_id)
    return run, budget


def _bill(run: MeteredRun, budget: Budget, run_ms: int, moment: datetime) -> None:
    """Write the segment from billed_ms to run_ms, clipped to the lease, if anything is new."""
    until = min(moment, run.lease_until)
    upto = min(run_ms, int((until - run.started_at) / timedelta(milliseconds=1)))
    if upto <= run.billed_ms:
        return
    amount = _price(run, upto) - _price(run, run.billed_ms)
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
        fact = Fact(
            source=f"segment:{segment.pk}",
            about=run.source,
            run=run,
            sku=run.rate.sku,
            occurred_at=segment.recorded_at,
        )
        book(budget, LedgerEntry.Kind.COMPUTE, amount, fact)
    run.billed_ms = upto


def _price(run: MeteredRun, run_ms: int) -> int:
    return amount_micro(run_ms * run.devices, run.rate.nano_per_unit)


def _renew(run: MeteredRun, budget: Budget, moment: datetime) -> bool:
    """Extend the lease as far as time and money allow, reserving that money.

    False when the money left does not pay for one more heartbeat; the run is unchanged then.
    """
    nano = run.rate.nano_per_unit
    elapsed_ms = int((moment - run.started_at) / timedelta(milliseconds=1))
    open_ms = max(0, elapsed_ms - run.billed_ms)  # Passed but not billed yet: held as well.
    granted_ms = settings.LEASE_SECONDS * 1000
    if budget.cap_micro is not None:
        others_micro = budget.reserved_micro - run.reserved_micro
        free_micro = max(0, budget.cap_micro - budget.spent_micro - others_micro)
        paid_ms = affordable_ms(free_micro, nano, run.devices)
        granted_ms = granted_ms if paid_ms is None else min(granted_ms, paid_ms - open_ms)
    if granted_ms < settings.HEARTBEAT_SECONDS * 1000:
        return False
    reserve = ceil_micro((granted_ms + open_ms) * run.devices, nano)
    budget.reserved_micro += reserve - run.reserved_micro
    run.reserved_micro = reserve
    run.lease_until = moment + timedelta(milliseconds=granted_ms)
    return True


def _close(run: MeteredRun, budget: Budget, moment: datetime, reason: RunEnd) -> None:
    run.ended_at = max(moment, run.started_at)
    run.end_reason = reason
    budget.reserved_micro -= run.reserved_micro
    run.reserved_micro = 0


def _database_now() -> datetime:
    """The database's clock, so that skewed workers cannot bill time that has not passed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
