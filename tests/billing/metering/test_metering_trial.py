"""The metering rule on trial: real PostgreSQL, threads and processes, every fault at once."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets.budget import get_budget
from billing.credit import grants
from billing.metering import runs
from billing.metering.runs import LeaseDecision
from billing.models import (
    Budget,
    CreditBurn,
    CreditGrant,
    LedgerEntry,
    MeteredRun,
    UsageDay,
    UsageSegment,
)
from billing.money import amount_micro
from tests.billing.stripe.usage_outbox.senders import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    Account,
    Sender,
    accounts_in,
)
from tests.training.trainers import PROJECT, environment

NANO = 20_000  # "cpu", per second.
FUNDS = {"tight": 90, "wide": 1_000_000, "prepaid": 120}  # Micro-USD: 4.5 s, plenty, 6 s.


class Trial:
    """Teams with different money, threads and processes working for them, and a reaper."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.teams = [_team(name, micro) for name, micro in FUNDS.items()]
        self.accounts: list[Account] = []
        self.errors: list[str] = []
        self._is_over = threading.Event()
        self.deadlocks_before = _deadlocks()

    def run(self, seconds: float, *, processes: int) -> None:
        workers = [
            Sender(team, f"training-job:{team.slug}-{number}", seed=2 * number + place)
            for number in range(2)
            for place, team in enumerate(self.teams)
        ]
        deadline = time.monotonic() + seconds
        watchers = [self._thread(self._reap), self._thread(self._watch_budgets)]
        threads = [self._thread(worker.work_until, deadline) for worker in workers]
        self._kill_processes(processes)
        for thread in threads:
            thread.join()
        time.sleep(LEASE_SECONDS + 0.3)  # What nobody ended is reaped.
        self._is_over.set()
        for watcher in watchers:
            watcher.join()
        self.accounts += [account for worker in workers for account in worker.accounts]

    def _thread(self, work, *args) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*args)
            except Exception as error:
                self.errors.append(repr(error))
            finally:
                connection.close()

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def _kill_processes(self, number: int) -> None:
        """Start workers as processes and kill each in the middle of its heartbeats."""
        logs = [self.folder / f"{place}.log" for place in range(number)]
        running = [self._process(place, log) for place, log in enumerate(logs)]
        for place, (process, log) in enumerate(zip(running, logs, strict=True)):
            give_up = time.monotonic() + 60
            while time.monotonic() < give_up and process.poll() is None:
                if log.exists() and log.read_text().count("\n") > 20 + 17 * place:
                    break
                time.sleep(0.003)
            process.kill()
            process.wait()
        found = [account for log in logs for account in accounts_in(log)]
        assert len(found) >= number
        self.accounts += found

    def _process(self, place: int, log: Path) -> "subprocess.Popen[bytes]":
        team = self.teams[1]
        source = f"training-job:process-{place}"
        command = [sys.executable, "-m", "tests.billing.stripe.usage_outbox.senders"]
        return subprocess.Popen(
            [*command, str(team.pk), source, str(100 + place), str(log)],
            env=environment(),
            cwd=PROJECT,
        )

    def _reap(self) -> None:
        """Like the watchdog, and twice at once would be fine too."""
        while not self._is_over.wait(0.1):
            for run in MeteredRun.objects.live().filter(lease_until__lt=now()):
                runs.expire_lease(run.pk)

    def _watch_budgets(self) -> None:
        """Money spent and reserved never exceeds what there is, at any moment."""
        while not self._is_over.wait(0.02):
            for budget in Budget.objects.filter(cap_micro__isnull=False):
                if budget.spent_micro + budget.reserved_micro > budget.cap_micro:
                    self.errors.append(f"{budget} is over its cap")


def _team(name: str, micro: int) -> Team:
    team = Team.objects.create(name=name, slug=name)
    get_budget(team)
    if name == "prepaid":
        Budget.objects.filter(pk=team.pk).update(mode="prepaid", cap_micro=None)
        for number in range(3):
            source = f"topup:{number}"
            grants.grant(team, micro // 3, kind="paid", source=source, note="Top-up")
    else:
        Budget.objects.filter(pk=team.pk).update(cap_micro=micro)
    return team


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def verify(trial: Trial) -> None:
    """Everything that metering promises, checked on what was booked."""
    assert trial.errors == []
    assert _deadlocks() == trial.deadlocks_before
    for account in trial.accounts:
        _verify_run(account)
    assert not MeteredRun.objects.live().exists()
    for team in trial.teams:
        _verify_team(team)
    ends = {account.end for account in trial.accounts}
    assert "finish" in ends, f"nobody finished: {ends}"
    assert ends & {"redelivered", "zombie"}, f"too calm a trial: {ends}"


def _verify_run(account: Account) -> None:
    run = MeteredRun.objects.get(pk=account.run_id)
    assert account.answered_ms <= run.billed_ms <= account.sent_ms, account
    segments = list(UsageSegment.objects.filter(run=run).order_by("span"))
    edges = [0] + [segment.span.upper for segment in segments]
    assert [segment.span.lower for segment in segments] == edges[:-1]
    assert edges[-1] == run.billed_ms == sum(segment.device_ms for segment in segments)
    charged = LedgerEntry.objects.filter(run=run).total_micro()
    assert charged == amount_micro(run.billed_ms, NANO)
    assert charged == sum(segment.amount_micro for segment in segments)
    if account.fresh_at is not None:  # Nothing stale has kept the lease alive.
        held = (run.lease_until - account.fresh_at).total_seconds()
        assert held <= LEASE_SECONDS, f"{account} held its lease {held} s"


def _verify_team(team: Team) -> None:
    budget = Budget.objects.get(pk=team.pk)
    spent = LedgerEntry.objects.filter(team=team).of_usage().total_micro()
    used = UsageDay.objects.filter(team=team)
    assert spent == budget.spent_micro == sum(row.amount_micro for row in used)
    assert budget.reserved_micro == 0
    assert spent <= FUNDS[team.slug]
    metered_runs = MeteredRun.objects.filter(team=team)
    assert sum(row.device_ms for row in used) == sum(run.billed_ms for run in metered_runs)
    if team.slug == "prepaid":
        assert CreditBurn.objects.filter(team=team).total_micro() == spent > 0
        assert CreditGrant.objects.filter(team=team).total_left_micro() == FUNDS["prepaid"] - spent
    if team.slug != "wide":  # Less than a heartbeat's money is left, or somebody stopped early.
        assert FUNDS[team.slug] - spent < FUNDS[team.slug]


@pytest.fixture
def quick(settings):
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = LEASE_SECONDS, HEARTBEAT_SECONDS


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_whatever_fails_every_millisecond_is_billed_once_and_no_cap_is_passed(quick, tmp_path):
    trial = Trial(tmp_path)
    trial.run(9, processes=3)
    verify(trial)
    _try_by_hand()


def _try_by_hand() -> None:
    """What no code of ours does, and the database refuses all the same."""
    segment = UsageSegment.objects.order_by("-pk").first()
    assert segment is not None
    overlap = (
        "INSERT INTO billing_usagesegment (run_id, team_id, source, span, device_ms, amount_micro,"
        " recorded_at) SELECT run_id, team_id, source, span, 1, 0, now() FROM billing_usagesegment"
        f" WHERE id = {segment.pk}"
    )
    refused = [
        overlap,
        *(f"UPDATE billing_{t} SET amount_micro = 1" for t in ("ledgerentry", "usagesegment")),
        *(f"DELETE FROM billing_{t}" for t in ("ledgerentry", "usagesegment", "creditburn")),
        *(f"TRUNCATE billing_{t} CASCADE" for t in ("ledgerentry", "usagesegment")),
    ]
    for statement in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            connection.cursor().execute(statement)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_trial_notices_a_rule_that_is_broken(quick, tmp_path, monkeypatch):
    rule = runs.heartbeat

    def renewing_on_stale(run_id, fence, run_ms, **facts):
        result = rule(run_id, fence, run_ms, **facts)
        if result.decision == LeaseDecision.STALE:
            longer = now() + runs.timedelta(seconds=LEASE_SECONDS)
            MeteredRun.objects.filter(pk=run_id, ended_at=None).update(lease_until=longer)
        return result

    monkeypatch.setattr(runs, "heartbeat", renewing_on_stale)
    trial = Trial(tmp_path)
    trial.run(4, processes=0)
    with pytest.raises(AssertionError, match="held its lease"):
        verify(trial)
