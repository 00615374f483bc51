"""A job never costs more than was announced unless somebody has read the higher amount."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.db import transaction

from billing.metering import runs
from billing.metering.cost_summary import load_cost_summary
from billing.money import MICRO_PER_CENT
from training.errors import StaleJobState
from training.estimates import announced_cost
from training.estimates.announced_cost import MIN_OVERRUN_MS, announced_micro, time_budget
from training.jobs import actions, attempts
from training.jobs.launch import LaunchRequest, estimate
from training.models import Attempt, PauseCode, Status, TrainingJob
from training.scheduling import claims
from training.worker.heartbeat import BillableClock, HeartbeatThread, StopReason

pytestmark = pytest.mark.django_db
CPU_MICRO_PER_SECOND = 20


@pytest.fixture
def attempt(job: TrainingJob) -> Attempt:
    """Of a job that was announced to cost what ten minutes do."""
    TrainingJob.objects.filter(pk=job.pk).update(
        estimate={"cost_high_micro": 600 * CPU_MICRO_PER_SECOND}
    )
    claimed = claims.claim(job.compute_class_id, "worker")
    assert claimed is not None
    return Attempt.objects.select_related("job__compute_class", "run__rate").get(pk=claimed.pk)


class FixedClock(BillableClock):
    """A clock that shows what a test says."""

    def __init__(self, ms: int) -> None:
        super().__init__()
        self.ms = ms
        self.start()

    def milliseconds(self) -> int:
        return self.ms


def test_the_announced_cost_pays_for_so_much_time_and_a_fifth_more_is_free(attempt):
    budget = time_budget(attempt)
    assert (budget.billable_ms, budget.pause_ms) == (600_000, 720_000)


def test_a_short_job_does_not_ask_for_a_second(attempt):
    attempt.job.estimate = {"cost_high_micro": 10 * CPU_MICRO_PER_SECOND}
    budget = time_budget(attempt)
    assert (budget.billable_ms, budget.pause_ms) == (10_000, 10_000 + MIN_OVERRUN_MS)


@pytest.mark.parametrize("estimate", [{}, {"cost_high_micro": 0}, {"seconds": 5}])
def test_where_nothing_was_announced_nothing_limits(attempt, estimate):
    attempt.job.estimate = estimate
    assert time_budget(attempt) is None


@pytest.mark.parametrize(
    ("ms", "reason"),
    [(599_000, None), (600_000, None), (719_999, None), (720_000, StopReason.COST)],
)
def test_work_beyond_the_announced_cost_stops_at_a_fifth_more(attempt, ms, reason):
    heart = HeartbeatThread(attempt, FixedClock(ms), 10**9, time_budget(attempt))
    heart._check_once(beats=False)
    assert heart.stop_reason == reason


def test_work_beyond_the_announced_cost_is_not_billed(attempt, monkeypatch):
    sent = []
    monkeypatch.setattr(runs, "heartbeat", lambda *a, **k: sent.append((a[2], k)) or BEAT)
    for ms in (599_000, 700_000):
        HeartbeatThread(attempt, FixedClock(ms), 10**9, time_budget(attempt)).renew_lease()
    assert [(ms, how["is_free"]) for ms, how in sent] == [(599_000, False), (600_000, True)]


BEAT = runs.HeartbeatResult(runs.LeaseDecision.CONTINUE, 60.0)


def test_a_job_that_needs_more_asks_and_goes_on_when_somebody_agrees(attempt, alice):
    job = attempt.job
    TrainingJob.objects.filter(pk=job.pk).update(progress=0.25)
    attempts.pause_at_announced_cost(attempt)
    job.refresh_from_db()
    assert (job.status, job.pause_code) == (Status.PAUSED, PauseCode.COST)
    next_micro = job.estimate["next_micro"]
    assert next_micro == int(4 * 600 * CPU_MICRO_PER_SECOND * 1.3)
    message = job.events.filter(message__startswith="Paused").get().message
    assert "Resume it to agree" in message
    assert announced_micro(job) == 600 * CPU_MICRO_PER_SECOND
    with transaction.atomic():
        actions.resume(job, alice)
    job.refresh_from_db()
    assert (job.status, announced_micro(job)) == (Status.QUEUED, next_micro)


def test_a_persons_pause_and_resume_agrees_to_nothing(attempt, alice):
    actions.pause(attempt.job, alice)
    attempt.job.refresh_from_db()
    actions.resume(attempt.job, alice)
    attempt.job.refresh_from_db()
    assert announced_micro(attempt.job) == 600 * CPU_MICRO_PER_SECOND


def test_what_earlier_attempts_cost_counts(attempt):
    time.sleep(0.05)
    runs.heartbeat(attempt.run_id, attempt.run.fence, 50)
    spent = load_cost_summary(attempt.job.source).net_micro
    left_micro = 600 * CPU_MICRO_PER_SECOND - spent
    assert time_budget(attempt).billable_ms == left_micro * 1_000 // CPU_MICRO_PER_SECOND


def test_pausing_and_resuming_gains_no_more_free_work(attempt, monkeypatch):
    monkeypatch.setattr(
        announced_cost, "cost_of", lambda _: SimpleNamespace(net_micro=600 * CPU_MICRO_PER_SECOND)
    )
    assert time_budget(attempt) == announced_cost.TimeBudget(0, 0)


def test_a_copy_of_a_job_has_not_been_agreed_to_cost_more(attempt, alice):
    attempts.pause_at_announced_cost(attempt)
    job = TrainingJob.objects.get(pk=attempt.job_id)
    actions.resume(job, alice)
    actions.cancel(TrainingJob.objects.get(pk=job.pk), alice)
    again = actions.retry(TrainingJob.objects.get(pk=job.pk), alice)
    assert again.estimate == {"cost_high_micro": 600 * CPU_MICRO_PER_SECOND}


def test_an_operator_does_not_agree_for_a_team(attempt, alice):
    attempts.pause_at_announced_cost(attempt)
    job = TrainingJob.objects.get(pk=attempt.job_id)
    with pytest.raises(StaleJobState, match="agree to a higher cost"):
        actions.requeue(job, alice)
    job.refresh_from_db()
    assert (job.status, announced_micro(job)) == (Status.PAUSED, 600 * CPU_MICRO_PER_SECOND)


def test_what_is_announced_is_in_whole_cents_wherever_it_is_told(dataset_version, alice, client_of):
    """A job that costs a tenth of a cent would otherwise stop to ask for another tenth."""
    request = LaunchRequest(hyperparameters={"epochs": 1})
    expected = estimate(dataset_version=dataset_version, request=request)
    assert 0 < expected.cost_high_micro < MICRO_PER_CENT
    assert expected.as_stored["cost_high_micro"] == expected.announced_micro == MICRO_PER_CENT
    path = f"/datasets/{dataset_version.dataset_id}/launch/"
    assert "up to $0.01" in client_of(alice).get(path).content.decode()


@pytest.mark.parametrize(("exact", "announced"), [(1, 10_000), (10_000, 10_000), (10_001, 20_000)])
def test_it_is_rounded_up(dataset_version, exact, announced):
    expected = estimate(dataset_version=dataset_version, request=LaunchRequest())
    assert replace(expected, cost_high_micro=exact).announced_micro == announced
