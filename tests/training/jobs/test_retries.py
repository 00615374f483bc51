"""Retrying, restarting, keeping checkpoints, running out of time: new jobs bill only new work."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import Notice
from billing.budgets import budget
from billing.models import Budget, MeteredRun
from projects import storage
from tests.training.queued import copy_of
from training.artifacts import checkpoint_retention
from training.errors import CannotLaunch, OverBudget, StaleJobState, TeamSuspended
from training.jobs import actions, attempts, limits
from training.jobs.failures import FAILURE_REASONS, is_storage_full
from training.models import Attempt, Checkpoint, FailureCode, PauseCode, Status, TrainingJob
from training.scheduling import claims, watchdog


def save(job: TrainingJob, step: int, *, best: bool = False, attempt: int = 1) -> Checkpoint:
    """A checkpoint with files in storage."""
    import tempfile
    from pathlib import Path

    key = f"{checkpoint_retention.checkpoint_folder(job.pk)}/{attempt}-{step:06d}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.json").write_text("{}")
        storage.put_folder(key, folder)
    return Checkpoint.objects.create(
        job=job, attempt_number=attempt, step=step, storage_key=key, is_best=best
    )


def is_there(checkpoint: Checkpoint) -> bool:
    checkpoint.refresh_from_db()
    stored = storage.exists(f"{checkpoint.storage_key}/manifest.json")
    assert stored == (checkpoint.deleted_at is None)
    return stored


def test_every_failure_code_stands_in_the_one_table():
    assert set(FAILURE_REASONS) == set(FailureCode)
    for reason in FAILURE_REASONS.values():
        assert reason.next_step.endswith(".")
        assert reason.is_charged == (reason.fault == "yours")


def test_a_retry_is_a_new_job_with_the_same_recipe_linked_both_ways(job, alice, api, token):
    save(job, 5)
    job.fail(FailureCode.WORKER_LOST, "It was lost.")
    answer = api(token).post(f"/api/v1/training-jobs/{job.pk}/retry")
    assert answer.status_code == 201
    new = TrainingJob.objects.get(pk=answer.json()["id"])
    assert (new.recipe, new.task, new.status) == (job.recipe, job.task, Status.QUEUED)
    assert answer.json()["retry_of"] == str(job.pk)
    attempt = claims.claim("cpu", "w")
    assert (attempt.job_id, attempt.resumed_from_step) == (new.pk, None)


def test_after_a_retry_has_ended_the_job_can_be_retried_once_more(job, alice):
    job.cancel()
    actions.retry(job, alice).cancel()
    assert actions.retry(job, alice).retry_of_id == job.pk


@pytest.mark.parametrize("verb", ["start", "pause"])
def test_only_what_failed_or_was_cancelled_is_retried(job, alice, verb):
    getattr(job, verb)()
    with pytest.raises(StaleJobState, match="Only a failed or cancelled"):
        actions.retry(job, alice)


def test_a_restart_goes_on_from_the_chosen_checkpoint_on_any_worker(job, api, token):
    older, newer = save(job, 5, best=True), save(job, 9)
    job.cancel()
    body = {"checkpoint": str(older.pk)}
    answer = api(token).post(f"/api/v1/training-jobs/{job.pk}/restart", body, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["restarted_from"] == str(older.pk)
    attempt = claims.claim("cpu", "elsewhere")
    assert attempt.resumed_from_step == 5
    assert claims.latest_checkpoint(attempt.job) == older
    assert attempt.run.source != job.source
    mine = save(attempt.job, 7)
    assert claims.latest_checkpoint(attempt.job) == mine
    assert is_there(newer)


def test_a_paused_job_can_be_branched_and_stays_paused(job, alice):
    saved = save(job, 5)
    job.pause()
    new = actions.restart(job, saved, alice)
    job.refresh_from_db()
    assert (job.status, new.status) == (Status.PAUSED, Status.QUEUED)


def test_a_job_that_may_still_run_is_not_restarted(job, alice):
    with pytest.raises(StaleJobState, match="Pause it first"):
        actions.restart(job, save(job, 5), alice)


@pytest.mark.parametrize("sent", ["", "x", "-1", "9" * 30, None, "١"])
def test_nonsense_names_no_checkpoint(job, api, token, sent):
    job.cancel()
    address = f"/api/v1/training-jobs/{job.pk}/restart"
    answer = api(token).post(address, {"checkpoint": sent}, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "checkpoint"


def test_another_jobs_checkpoint_is_no_start(job, api, token):
    foreign = save(copy_of(job), 3)
    job.cancel()
    address = f"/api/v1/training-jobs/{job.pk}/restart"
    assert api(token).post(address, {"checkpoint": str(foreign.pk)}).status_code == 400


def test_starting_again_needs_a_live_team_money_and_a_machine_on_offer(job, alice):
    job.cancel()
    budget.get_budget(job.team)
    Budget.objects.filter(pk=job.team_id).update(cap_micro=0)
    with pytest.raises(OverBudget):
        actions.retry(job, alice)
    job.team.frozen_at = now()
    with pytest.raises(TeamSuspended):
        actions.retry(job, alice)
    job.team.frozen_at = None
    job.compute_class.is_offered = False
    with pytest.raises(CannotLaunch, match="no longer offered"):
        actions.retry(job, alice)


def test_the_newest_and_the_best_checkpoint_are_kept(job):
    first, best, middle, newest = (save(job, n, best=n == 2) for n in (1, 2, 3, 4))
    checkpoint_retention.delete_superseded(job.pk)
    assert [is_there(one) for one in (first, best, middle, newest)] == [False, True, False, True]


def test_checkpoints_of_a_failed_job_are_kept_for_the_stated_days_and_then_freed(job, settings):
    saved = save(job, 5)
    job.fail(FailureCode.WORKER_LOST, "It was lost.")
    checkpoint_retention.delete_if_expired(job.pk)
    watchdog.cleanup()
    assert is_there(saved)
    days = settings.CHECKPOINT_RETENTION_DAYS
    TrainingJob.objects.filter(pk=job.pk).update(finished_at=now() - timedelta(days=days, hours=1))
    watchdog.cleanup()
    assert not is_there(saved)
    assert checkpoint_retention.delete_expired() == 0


def test_what_an_unfinished_restart_starts_from_is_never_freed(job, alice):
    saved = save(job, 5)
    job.cancel()
    new = actions.restart(job, saved, alice)
    TrainingJob.objects.filter(pk=job.pk).update(finished_at=now() - timedelta(days=99))
    checkpoint_retention.delete_expired()
    assert is_there(saved)
    new.cancel()
    checkpoint_retention.delete_expired()
    assert not is_there(saved)


def test_a_freed_checkpoint_is_refused_in_words(job, alice):
    saved = save(job, 5)
    job.cancel()
    checkpoint_retention.delete_checkpoint(saved)
    with pytest.raises(CannotLaunch, match="step 5 are gone"):
        actions.restart(job, saved, alice)


def begin(job: TrainingJob) -> Attempt:
    attempt = claims.claim("cpu", "w")
    assert attempt.job_id == job.pk
    return attempt


def bill(attempt: Attempt, **facts: int) -> None:
    MeteredRun.objects.filter(pk=attempt.run_id).update(**facts, reserved_until_ms=10_000_000)
    attempt.run.refresh_from_db()


def test_the_time_limit_counts_billed_time_of_all_attempts_but_no_lost_work(job):
    TrainingJob.objects.filter(pk=job.pk).update(time_limit_seconds=100)
    first = begin(job)
    bill(first, billed_ms=30_000, checkpointed_ms=20_000)
    attempts.fail_lost(first, "Silence.")
    second = claims.claim("cpu", "w")
    assert limits.remaining_ms(second) == 80_000


def test_a_job_never_runs_longer_than_its_class_allows(job):
    job.compute_class.time_limit_seconds = 60
    job.time_limit_seconds = 600
    assert limits.effective_time_limit(job) == 60


def test_the_watchdog_ends_a_job_whose_worker_ignores_the_limit(job, settings):
    TrainingJob.objects.filter(pk=job.pk).update(time_limit_seconds=60)
    attempt = begin(job)
    save(job, 5)
    bill(attempt, billed_ms=60_000 + 1000 * settings.HEARTBEAT_SECONDS)
    assert watchdog.end_overrun_attempts() == 0
    bill(attempt, billed_ms=60_001 + 2000 * settings.HEARTBEAT_SECONDS)
    assert watchdog.end_overrun_attempts() == 1
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Status.FAILED, "time_limit")
    assert job.failure_sentence == (
        "The training reached its time limit of 60 s of run time. The checkpoint at step 5 is kept."
    )
    assert job.checkpoints.kept().exists()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"time_limit_seconds": 59}, "time_limit_seconds"),
        ({"time_limit_seconds": 86_401}, "time_limit_seconds"),
        ({"time_limit_seconds": 10**30}, "time_limit_seconds"),
        ({"priority": 11}, "priority"),
        ({"priority": -11}, "priority"),
        ({"priority": "high"}, "priority"),
    ],
)
def test_limits_and_priorities_out_of_bounds_are_refused_by_name(
    api, token, project, dataset, dataset_version, change, param
):
    body = {"project": str(project.pk), "dataset": str(dataset.pk), "task": "text-classification"}
    answer = api(token).post("/api/v1/training-jobs", body | change, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_launch_says_its_limit_and_priority(api, token, project, dataset, dataset_version):
    body = {"project": str(project.pk), "dataset": str(dataset.pk), "task": "text-classification"}
    wish = {"time_limit_seconds": 600, "priority": 4}
    job = api(token).post("/api/v1/training-jobs", body | wish, format="json").json()
    assert (job["time_limit_seconds"], job["priority"], job["jobs_ahead"]) == (600, 4, 0)


def test_a_finished_artifact_outlives_a_spent_cap_while_it_is_being_stored(job):
    attempt = begin(job)
    long_ago = now() - timedelta(minutes=5)
    MeteredRun.objects.filter(pk=attempt.run_id).update(
        started_at=long_ago, ended_at=now() - timedelta(minutes=2), end_reason="cap",
        reserved_micro=0, lease_until=now() - timedelta(minutes=2),
    )  # fmt: skip
    Attempt.objects.filter(pk=attempt.pk).update(publishing_at=now() - timedelta(seconds=5))
    assert watchdog.end_silent_attempts() == 0
    Attempt.objects.filter(pk=attempt.pk).update(publishing_at=long_ago)
    assert watchdog.end_silent_attempts() == 1
    job.refresh_from_db()
    assert (job.status, job.pause_code) == (Status.PAUSED, PauseCode.SPEND_CAP)


def test_each_transition_tells_the_team_once(job, alice):
    actions.pause(job, alice)
    actions.resume(job, alice)
    job.fail(FailureCode.DIVERGED, "The loss is no number.")
    notices = Notice.objects.filter(team=job.team, event__startswith="training_job")
    events = sorted(notices.values_list("event", flat=True))
    assert events == ["training_job.failed", "training_job.paused", "training_job.resumed"]
    assert notices.get(event="training_job.failed").data["code"] == "diverged"
    assert notices.get(event="training_job.failed").url == f"/jobs/{job.pk}/"


def test_a_full_disk_is_recognised_wherever_it_hides():
    full = OSError(28, "No space left on device")
    wrapped = RuntimeError("saving failed")
    wrapped.__cause__ = full
    refused = Exception("An error occurred (QuotaExceeded)")
    refused.response = {"Error": {"Code": "QuotaExceeded"}}
    assert is_storage_full(full)
    assert is_storage_full(wrapped)
    assert is_storage_full(refused)
    assert not is_storage_full(OSError(2, "No such file"))
    assert not is_storage_full(None)
