"""The metering rule: leases, cumulative heartbeats and what they cost.

Invariants: (1) the Budget row is locked before the run; (2) `billed_ms` only grows, by segments
that the database forbids to overlap; (3) nothing is billed beyond `funded_ms`, which the
reservation pays for, and a lease that is used up for work never outlives it; (4) time is never
billed past the lease, past the database's own clock, or once the sender has declared it free.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.db.models import F

from accounts.models import Team
from billing import budget as budgets
from billing import notices
from billing.booking import Fact, book
from billing.errors import CapReached
from billing.models import Budget, LedgerEntry, MeteredRun, Rate, RunEnd, UsageSegment
from billing.money import affordable_ms, amount_micro, ceil_micro

# In SQL, because these go out for every job that starts, and in one statement cost a third.
_TERMS = f"""
SELECT rate.*, clock_timestamp() AS moment,
    (SELECT coalesce(max(fence), 0) FROM {MeteredRun._meta.db_table} WHERE source = %(source)s)
    AS last_fence
FROM {Rate._meta.db_table} rate WHERE sku = %(sku)s AND valid @> clock_timestamp()
"""


class Verdict(StrEnum):
    """What a heartbeat's sender must do next."""

    GO_ON = "go_on"
    STALE = "stale"  # A duplicate or late message: nothing was billed or renewed.
    FENCED = "fenced"  # The run is over or another holds it: stop without saving.
    CAP = "stop_cap"  # The money is spent: save and stop. Nothing more is billed meanwhile.


@dataclass(frozen=True)
class Pulse:
    """The answer to one heartbeat."""

    verdict: Verdict
    lease_seconds: float = 0.0  # How long the renewed lease lasts from now.


def open_run(
    team: Team, source: str, sku: str, devices: int = 1, *, budget: Budget | None = None
) -> MeteredRun:
    """Start metering a source under a first lease. Call inside a transaction.

    Raises CapReached when the money left does not pay for one heartbeat. The source must have
    no live run: the exclusion constraint refuses a second one. `budget`: the team's, from a
    caller that has locked it already.
    """
    budget = budget or budgets.lock(team.pk)
    rate, fence, started_at = _terms(source, sku)
    run = MeteredRun(
        team=team, source=source, fence=fence, rate=rate, devices=devices, started_at=started_at
    )
    if not _renew(run, budget, started_at, is_free=False):
        raise CapReached
    run.save(force_insert=True)
    budget.save(update_fields=["reserved_micro"])
    return run


@transaction.atomic
def heartbeat(
    run_id: UUID, fence: int, run_ms: int, *, alive_ms: int | None = None, is_free: bool = False
) -> Pulse:
    """Bill a run up to `run_ms`, its sender's cumulative billable milliseconds since the start.

    `alive_ms` is the sender's running time with unbilled phases included (default: run_ms), and
    `is_free` says that it is in such a phase now, which needs no money to go on. The same or an
    older `alive_ms` again bills nothing and renews nothing, so a redelivered message can never
    keep a dead worker's lease alive.
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
    _bill(run, budget, run_ms, moment)
    _note_clock(run, run_ms, alive_ms, moment)
    verdict = Verdict.GO_ON
    if moment > run.lease_until:
        verdict = Verdict.FENCED
    elif not _renew(run, budget, moment, is_free=is_free):
        _stop_funding(run, budget, moment)
        verdict = Verdict.CAP
    else:  # Work that the last funds did not reach is paid for by the new ones, now and not later.
        _bill(run, budget, run_ms, moment)
    run.save()
    budget.save(update_fields=["spent_micro", "reserved_micro"])
    notices.look(budget, is_spent=verdict == Verdict.CAP)
    return Pulse(verdict, (run.lease_until - moment).total_seconds())


@transaction.atomic
def end(run_id: UUID, reason: RunEnd) -> MeteredRun:
    """Close a live run now, from outside its worker. Ending an ended run changes nothing."""
    run, budget = lock_run(run_id)
    if run.ended_at is None:
        _close(run, budget, _database_now(), reason)
        run.save()
        budget.save(update_fields=["reserved_micro"])
    return run


@transaction.atomic
def reap(run_id: UUID) -> bool:
    """Close a run whose lease has run out, at the lease's end. False when it is not so."""
    run, budget = lock_run(run_id)
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
    run, budget = lock_run(run_id)
    source = f"refund:run:{run.pk}"
    if LedgerEntry.objects.filter(source=source).exists():
        return 0
    lost = price(run, run.billed_ms) - price(run, run.kept_ms)
    return give_back(run, budget, min(lost, unrefunded_micro(run)), Fact(source=source, note=note))


@transaction.atomic
def refund_run(run_id: UUID, note: str) -> int:
    """Give back whatever of a run's charge has not been given back yet; micro-USD."""
    run, budget = lock_run(run_id)
    fact = Fact(source=f"refund:run:{run.pk}:rest", note=note)
    return give_back(run, budget, unrefunded_micro(run), fact)


def refund_source(source: str, note: str) -> int:
    """Give back everything charged for a source, such as a job that failed by our fault."""
    runs = MeteredRun.objects.filter(source=source).order_by("fence")
    return sum(refund_run(run_id, note) for run_id in runs.values_list("pk", flat=True))


def unrefunded_micro(run: MeteredRun) -> int:
    """What the run was charged and has not been given back."""
    refunds = LedgerEntry.objects.filter(run=run, kind=LedgerEntry.Kind.REFUND)
    return price(run, run.billed_ms) + refunds.total_micro()


def give_back(run: MeteredRun, budget: Budget, amount: int, fact: Fact) -> int:
    """Book a refund of a locked run; `fact` says its source and note. Returns what was booked."""
    if amount <= 0:
        return 0
    whole = replace(fact, about=run.source, run=run, sku=run.rate.sku)
    book(budget, LedgerEntry.Kind.REFUND, -amount, whole)
    budget.save(update_fields=["spent_micro"])
    return amount


def _locked(run_id: UUID, fence: int) -> tuple[MeteredRun, Budget] | None:
    """The run and its budget, locked in that order; None for an unknown run or an old fence."""
    row = MeteredRun.objects.filter(pk=run_id, fence=fence)
    team_id = row.values_list("team_id", flat=True).first()
    return None if team_id is None else _locked_of_team(run_id, team_id)


def lock_run(run_id: UUID) -> tuple[MeteredRun, Budget]:
    team_id = MeteredRun.objects.values_list("team_id", flat=True).get(pk=run_id)
    return _locked_of_team(run_id, team_id)


def _locked_of_team(run_id: UUID, team_id: UUID) -> tuple[MeteredRun, Budget]:
    budget = budgets.lock(team_id)
    run = MeteredRun.objects.select_for_update(of=("self",)).select_related("rate").get(pk=run_id)
    return run, budget


def _bill(run: MeteredRun, budget: Budget, run_ms: int, moment: datetime) -> None:
    """Write the segment from billed_ms to run_ms, clipped to lease and funds, if any is new."""
    passed_ms = _elapsed_ms(run, min(moment, run.lease_until))
    upto = min(run_ms, passed_ms - run.free_ms, run.funded_ms)
    if upto <= run.billed_ms:
        return
    amount = price(run, upto) - price(run, run.billed_ms)
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
    _reserve_what_is_funded(run, budget)


def price(run: MeteredRun, run_ms: int) -> int:
    return amount_micro(run_ms * run.devices, run.rate.nano_per_unit)


def _elapsed_ms(run: MeteredRun, moment: datetime) -> int:
    return max(0, int((moment - run.started_at) / timedelta(milliseconds=1)))


def _note_clock(run: MeteredRun, run_ms: int, alive_ms: int, moment: datetime) -> None:
    """Remember what the sender says of its time: what was free once can never be billed."""
    passed_ms = min(alive_ms, _elapsed_ms(run, moment))
    run.free_ms = max(run.free_ms, passed_ms - max(run_ms, run.billed_ms))
    run.alive_ms = alive_ms


def _renew(run: MeteredRun, budget: Budget, moment: datetime, *, is_free: bool) -> bool:
    """Extend the lease as far as time and money allow, reserving that money.

    False when the sender needs money and what is left does not pay for one more heartbeat; the
    run is unchanged then. A free phase is never short of money: it keeps its lease and is funded
    with what there is, so that work beginning within the lease cannot pass the cap either.
    """
    nano, lease_ms = run.rate.nano_per_unit, int(settings.LEASE_SECONDS * 1000)
    passed_ms = _elapsed_ms(run, moment)
    most_ms = passed_ms - run.free_ms + lease_ms  # All that could be billed by the lease's end.
    until = moment + timedelta(milliseconds=2 * lease_ms)
    free_micro = budget.free_micro(until, besides_micro=run.reserved_micro)
    # From the run's beginning on, so that no fraction of a micro-dollar is counted twice.
    whole_micro = None if free_micro is None else free_micro + price(run, run.billed_ms)
    paid_ms = None if whole_micro is None else affordable_ms(whole_micro, nano, run.devices)
    if paid_ms is not None and paid_ms < most_ms:
        most_ms = max(run.billed_ms, paid_ms)
        if not is_free:
            lease_ms = most_ms + run.free_ms - passed_ms
            if lease_ms < settings.HEARTBEAT_SECONDS * 1000:
                return False
    run.funded_ms = most_ms
    _reserve_what_is_funded(run, budget)
    run.lease_until = moment + timedelta(milliseconds=lease_ms)
    return True


def _stop_funding(run: MeteredRun, budget: Budget, moment: datetime) -> None:
    """Release the money but not the run: its worker may save, and nothing more is billed."""
    run.funded_ms = run.billed_ms
    _reserve_what_is_funded(run, budget)
    run.lease_until = moment + timedelta(seconds=settings.LEASE_SECONDS)


def _reserve_what_is_funded(run: MeteredRun, budget: Budget) -> None:
    """Hold exactly what may still be billed: spent and reserved together never pass the cap."""
    if run.funded_ms <= run.billed_ms:
        _reserve(run, budget, 0)
        return
    whole = ceil_micro(run.funded_ms * run.devices, run.rate.nano_per_unit)
    _reserve(run, budget, whole - price(run, run.billed_ms))


def _reserve(run: MeteredRun, budget: Budget, amount: int) -> None:
    budget.reserved_micro += amount - run.reserved_micro
    run.reserved_micro = amount


def _close(run: MeteredRun, budget: Budget, moment: datetime, reason: RunEnd) -> None:
    run.ended_at = max(moment, run.started_at)
    run.end_reason = reason
    _reserve(run, budget, 0)


def _terms(source: str, sku: str) -> tuple[Rate, int, datetime]:
    """In one query: the rate in force, the source's next fence, the database's clock."""
    rate = next(iter(Rate.objects.raw(_TERMS, {"sku": sku, "source": source})), None)
    if rate is None:
        raise Rate.DoesNotExist(f"{sku} has no price")
    found = vars(rate)  # What a raw query adds is unknown to type checkers.
    return rate, found["last_fence"] + 1, found["moment"]


def _database_now() -> datetime:
    """The database's clock, so that skewed workers cannot bill time that has not passed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
