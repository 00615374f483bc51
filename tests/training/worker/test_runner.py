import os
import signal

import pytest

from billing.budgets import budget
from billing.metering.cost_summary import load_cost_summary
from billing.models import Budget, LedgerEntry, MeteredRun, UsageSegment
from billing.money import amount_micro
from engine.artifact import verify
from projects import storage
from tests.sessions import end_others_for
from tests.training import fake_engine
from tests.training.trainers import is_running, wait_until
from training.jobs import actions
from training.models import Evaluation, Status, TrainingJob
from training.scheduling import watchdog

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.slow]


@pytest.fixture
def long_job(job: TrainingJob) -> TrainingJob:
    """A job that trains for ten seconds, and saves its state after each half."""
    job.recipe |= {"hyperparameters": {"epochs": 100}, "checkpoint_seconds": 0.5}
    job.save()
    return job


@pytest.fixture
def endless_job(long_job: TrainingJob) -> TrainingJob:
    """One that ends only because somebody ends it."""
    long_job.recipe["hyperparameters"]["epochs"] = 1000
    long_job.save()
    return long_job


def reloaded(job: TrainingJob) -> TrainingJob:
    return TrainingJob.objects.get(pk=job.pk)


def has_checkpoint(job: TrainingJob) -> bool:
    return job.checkpoints.filter(deleted_at=None).exists()


def bill_is_exact(job: TrainingJob) -> None:
    """Ledger, segments, runs and budget tell the same story, and no run is left open."""
    runs = MeteredRun.objects.filter(source=job.source)
    assert not runs.filter(ended_at=None).exists()
    billed = load_cost_summary(job.source)
    assert billed.amount_micro == sum(amount_micro(run.billed_ms, 20_000) for run in runs)
    assert billed.device_ms == sum(run.billed_ms for run in runs)
    assert LedgerEntry.objects.filter(about=job.source).total_micro() == billed.net_micro
    held = budget.get_budget(job.team)
    assert (held.spent_micro, held.reserved_micro) == (billed.net_micro, 0)
    for run in runs:
        wall_ms = (run.ended_at - run.started_at).total_seconds() * 1000
        assert run.billed_ms <= wall_ms + 1


def test_two_trainers_carry_a_job_once_to_a_model_with_a_report_and_an_exact_bill(
    job, real_trainer, tmp_path
):
    both = [real_trainer(), real_trainer()]
    for process in both:
        process.finish()
    job = reloaded(job)
    assert job.attempts.count() == 1
    assert (job.status, job.progress) == (Status.SUCCEEDED, 1)
    assert job.metrics.filter(name="train_loss").exists()
    assert Evaluation.objects.get(model=job.model).report["verdict"]
    assert storage.exists(f"{job.model.artifact_key}/manifest.json")
    assert load_cost_summary(job.source).amount_micro > 0
    assert not job.checkpoints.filter(deleted_at=None).exists()
    bill_is_exact(job)
    storage.fetch_folder(job.model.artifact_key, tmp_path / "artifact")
    assert verify(tmp_path / "artifact").labels == ["card", "transfer"]


@pytest.mark.nightly
def test_a_trainer_that_loses_the_database_again_and_again_carries_its_job_once(long_job, trainer):
    running = trainer()
    wait_until(lambda: long_job.attempts.exists(), what="for the claim")
    end_others_for(4)
    running.finish()
    assert reloaded(long_job).status == Status.SUCCEEDED
    assert long_job.attempts.count() == 1
    bill_is_exact(long_job)


def test_a_killed_engine_resumes_from_its_checkpoint(long_job, trainer):
    running = trainer()
    wait_until(lambda: has_checkpoint(long_job), what="for a checkpoint")
    os.kill(running.children()[0], signal.SIGKILL)
    running.finish()
    attempts = list(reloaded(long_job).attempts.all())
    assert reloaded(long_job).status == Status.SUCCEEDED
    assert [attempt.end_reason for attempt in attempts] == ["worker lost", "finished"]
    assert attempts[1].resumed_from_step > 0
    bill_is_exact(long_job)


def test_a_killed_trainer_takes_its_engine_along_and_another_resumes_the_job(long_job, trainer):
    first = trainer(LEASE_SECONDS="8")
    wait_until(lambda: has_checkpoint(long_job), what="for a checkpoint")
    engine = first.children()[0]
    first.kill()
    wait_until(lambda: not is_running(engine), what="for the orphaned engine to die")
    assert watchdog.end_silent_attempts() == 0  # Its lease still runs: nobody may take over yet.
    wait_until(lambda: watchdog.end_silent_attempts() == 1, what="for the lease to run out")
    assert reloaded(long_job).status == Status.QUEUED
    assert watchdog.end_silent_attempts() == 0
    trainer().finish()
    assert reloaded(long_job).status == Status.SUCCEEDED
    assert reloaded(long_job).attempts.last().resumed_from_step > 0
    bill_is_exact(long_job)


def test_a_job_that_loses_every_worker_fails_and_costs_nothing(endless_job, trainer):
    running = trainer()
    for number in (1, 2, 3):
        wait_until(
            lambda n=number: (
                endless_job.attempts.filter(number=n, ended_at=None).exists() and running.children()
            ),
            what=f"for attempt {number}",
        )
        os.kill(running.children()[0], signal.SIGKILL)
        wait_until(lambda n=number: endless_job.attempts.get(number=n).ended_at, what="for its end")
    running.finish()
    job = reloaded(endless_job)
    assert (job.status, job.failure_code) == (Status.FAILED, "worker_lost")
    assert load_cost_summary(job.source).net_micro == 0
    bill_is_exact(job)


def test_a_cancel_stops_meter_and_engine_and_keeps_what_was_billed(endless_job, trainer, alice):
    running = trainer()
    wait_until(lambda: UsageSegment.objects.filter(source=endless_job.source).count() >= 2)
    actions.cancel(reloaded(endless_job), alice)
    billed = load_cost_summary(endless_job.source)
    running.finish()
    assert reloaded(endless_job).status == Status.CANCELLED
    assert load_cost_summary(endless_job.source) == billed
    bill_is_exact(endless_job)


@pytest.mark.nightly
def test_a_paused_job_saves_its_state_and_resumes_from_it(long_job, trainer, alice):
    running = trainer()
    wait_until(lambda: reloaded(long_job).step > 5, what="for progress")
    actions.pause(reloaded(long_job), alice)
    running.finish()
    saved = long_job.checkpoints.kept().first()
    actions.resume(reloaded(long_job), alice)
    trainer().finish()
    job = reloaded(long_job)
    assert job.status == Status.SUCCEEDED
    assert job.attempts.last().resumed_from_step == saved.step
    bill_is_exact(job)


def test_the_spend_cap_pauses_a_running_job_with_a_checkpoint(endless_job, trainer):
    running = trainer(LEASE_SECONDS="8")
    wait_until(lambda: has_checkpoint(endless_job), what="for a checkpoint")
    cap = (
        budget.get_budget(endless_job.team).spent_micro + 150
    )  # Seven more seconds, a lease is eight.
    Budget.objects.filter(pk=endless_job.team_id).update(cap_micro=cap)
    running.finish()
    job = reloaded(endless_job)
    assert job.status == Status.PAUSED
    assert "spend cap" in job.events.filter(kind="status").last().message
    assert has_checkpoint(job)
    assert budget.get_budget(job.team).spent_micro <= cap
    bill_is_exact(job)


def test_the_customers_bad_data_fails_with_a_sentence_and_is_billed(job, trainer):
    job.recipe |= {"hyperparameters": {"seed": fake_engine.BAD_DATA}}
    job.save()
    trainer().finish()
    job = reloaded(job)
    assert (job.status, job.failure_code) == (Status.FAILED, "bad_data")
    assert len(job.failure_sentence) > 30
    bill_is_exact(job)
