import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils.timezone import now

from billing import budget
from billing.models import Budget, LedgerEntry, MeteredRun, Plan
from training import attempts, control, registry, schedule, watchdog
from training.errors import AttemptEnded, JobMovedOn
from training.models import (
    Attempt,
    FailureCode,
    Status,
    TrainedModel,
    TrainingJob,
    Wish,
    Worker,
)
from training.tasks import work


def copy_of(job: TrainingJob, **changes: object) -> TrainingJob:
    """Another queued job like this one."""
    facts = {
        name: getattr(job, name)
        for name in (
            "team", "project", "dataset_version", "compute_class", "task", "base_model", "recipe"
        )
    }  # fmt: skip
    return TrainingJob.objects.create(**(facts | {"name": "copy"} | changes))


def expire(attempt: Attempt) -> None:
    """Let its lease run out a moment after it began."""
    moment = timedelta(milliseconds=1)
    MeteredRun.objects.filter(pk=attempt.run_id).update(lease_until=F("started_at") + moment)
    time.sleep(0.01)


def allow(job: TrainingJob, concurrency: int) -> None:
    budget.of(job.team)
    Plan.objects.filter(code="free").update(concurrency=concurrency)


def test_a_claim_starts_an_attempt_with_a_lease(job):
    attempt = schedule.claim("cpu", "worker-1")
    job.refresh_from_db()
    assert (job.status, attempt.number, attempt.run.fence) == (Status.RUNNING, 1, 1)
    assert attempt.run.source == job.source
    assert attempt.run.lease_until > now()


def test_a_repeated_message_finds_nothing_to_claim(job):
    assert schedule.claim("cpu", "worker-1") is not None
    assert schedule.claim("cpu", "worker-1") is None
    assert schedule.claim("cpu", "worker-2") is None
    assert job.attempts.count() == 1


def test_a_message_for_another_class_claims_nothing(job):
    assert schedule.claim("gpu", "worker-1") is None


def test_a_late_message_about_a_cancelled_job_changes_nothing(job, alice):
    control.cancel(job, alice)
    assert schedule.claim("cpu", "worker-1") is None
    job.refresh_from_db()
    assert (job.status, job.attempts.count()) == (Status.CANCELLED, 0)


def test_a_lost_message_is_sent_again(job, monkeypatch):
    sent = []
    monkeypatch.setattr(work, "apply_async", lambda args, **options: sent.append((args, options)))
    schedule.nudge_waiting()
    assert [(args, options["queue"]) for args, options in sent] == [(("cpu",), "compute.cpu")]


def test_nobody_is_nudged_when_nothing_waits(job, alice, monkeypatch):
    control.cancel(job, alice)
    monkeypatch.setattr(work, "apply_async", lambda *_, **__: pytest.fail("nothing waits"))
    schedule.nudge_waiting()


def test_a_broker_that_is_away_does_not_stop_a_launch(job, monkeypatch):
    from kombu.exceptions import OperationalError

    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(work, "apply_async", refuse)
    schedule.send_nudge("cpu", "compute.cpu")


def test_the_plan_bounds_how_many_jobs_run_at_once(job):
    allow(job, 1)
    copy_of(job)
    assert schedule.claim("cpu", "worker-1") is not None
    assert schedule.claim("cpu", "worker-2") is None
    allow(job, 2)
    assert schedule.claim("cpu", "worker-2") is not None


def test_the_team_with_fewest_running_jobs_goes_first(job, other_team):
    allow(job, 5)
    second_of_first_team = copy_of(job, queued_at=now() - timedelta(hours=1))
    schedule.claim("cpu", "worker-1")
    others = copy_of(job, team=other_team, queued_at=now())
    assert schedule.claim("cpu", "worker-2").job_id == others.pk
    assert schedule.claim("cpu", "worker-3").job_id in {second_of_first_team.pk, job.pk}


def test_priority_then_age_decides_within_a_team(job):
    allow(job, 9)
    urgent = copy_of(job, priority=5)
    older = copy_of(job, queued_at=now() - timedelta(hours=1))
    order = [schedule.claim("cpu", "worker").job_id for _ in range(3)]
    assert order == [urgent.pk, older.pk, job.pk]


def test_a_frozen_team_starts_nothing(job):
    job.team.frozen_at = now()
    job.team.save()
    assert schedule.claim("cpu", "worker-1") is None
    assert schedule.waiting(job) == "this team is on hold"


def test_a_job_that_cannot_pay_is_paused_and_the_next_one_runs(job, other_team):
    budget.of(job.team)
    Budget.objects.filter(pk=job.team_id).update(cap_micro=10)
    paying = copy_of(job, team=other_team)
    assert schedule.claim("cpu", "worker-1").job_id == paying.pk
    job.refresh_from_db()
    assert job.status == Status.PAUSED


def test_waiting_is_explained(job, alice):
    allow(job, 2)
    last = copy_of(job)
    assert schedule.waiting(job) == "no cpu worker has ever been seen; start one"
    registry.hello("worker-1", "cpu", devices=[])
    assert schedule.waiting(job) == "starting in a moment"
    assert schedule.waiting(last) == "1 job ahead"
    Worker.objects.update(seen_at=now() - timedelta(minutes=3, seconds=5))
    assert schedule.waiting(job) == "no cpu worker has been seen for 3 min"
    assert schedule.waiting(last) == "no cpu worker has been seen for 3 min; 1 job ahead"
    registry.beat("worker-1")
    schedule.claim("cpu", "worker-1")
    assert schedule.waiting(last) == "next in line; the cpu worker is busy"
    allow(job, 1)
    assert schedule.waiting(last) == "your plan runs 1 at a time and 1 is running"
    registry.tell(Worker.objects.get(), Wish.DRAIN, alice)
    allow(job, 2)
    assert schedule.waiting(last) == "every cpu worker is draining"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_claims_at_once_each_job_goes_to_one(job):
    allow(job, 50)
    for _ in range(7):
        copy_of(job)
    claimed: list[Attempt] = []

    def take(name: str) -> None:
        while (attempt := schedule.claim("cpu", name)) is not None:
            claimed.append(attempt)
        connection.close()

    threads = [threading.Thread(target=take, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A claim that finds every row locked by others goes away; the next nudge takes what is left.
    while (attempt := schedule.claim("cpu", "late")) is not None:
        claimed.append(attempt)
    assert len(claimed) == 8
    assert len({attempt.job_id for attempt in claimed}) == 8


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_racing_claims_of_one_team_stay_within_its_plan(job):
    allow(job, 2)
    for _ in range(5):
        copy_of(job)
    claimed: list[Attempt] = []

    def take(name: str) -> None:
        if (attempt := schedule.claim("cpu", name)) is not None:
            claimed.append(attempt)
        connection.close()

    threads = [threading.Thread(target=take, args=(f"worker-{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) <= 2
    assert TrainingJob.objects.filter(status=Status.RUNNING).count() == len(claimed)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_cancel_and_a_finish_at_once_have_one_winner(job, alice):
    attempt = schedule.claim("cpu", "worker-1")
    model = TrainedModel(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="m",
        task=job.task, base_model=job.base_model, artifact_key="artifacts/x",
    )  # fmt: skip
    from training.models import Evaluation

    outcomes: list[str] = []

    def finish() -> None:
        try:
            attempts.finish(attempt, model, Evaluation(model=model, report={}))
            outcomes.append("finished")
        except AttemptEnded:
            outcomes.append("too late")
        connection.close()

    def cancel() -> None:
        try:
            control.cancel(TrainingJob.objects.get(pk=job.pk), alice)
            outcomes.append("cancelled")
        except JobMovedOn:
            outcomes.append("moved on")
        connection.close()

    threads = [threading.Thread(target=finish), threading.Thread(target=cancel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.refresh_from_db()
    assert sorted(outcomes) in (["finished", "moved on"], ["cancelled", "too late"])
    assert (job.status == Status.SUCCEEDED) == TrainedModel.objects.filter(pk=model.pk).exists()
    assert not MeteredRun.objects.live().exists()


def test_a_silent_worker_loses_its_job_to_the_queue(job):
    attempt = schedule.claim("cpu", "worker-1")
    assert watchdog.end_silent_attempts() == 0
    expire(attempt)
    assert watchdog.end_silent_attempts() == 1
    assert watchdog.end_silent_attempts() == 0
    job.refresh_from_db()
    attempt.refresh_from_db()
    assert (job.status, attempt.end_reason) == (Status.QUEUED, "worker lost")
    assert schedule.claim("cpu", "worker-2").number == 2


def test_an_old_attempt_changes_nothing_once_a_new_one_runs(job):
    old = schedule.claim("cpu", "worker-1")
    expire(old)
    watchdog.end_silent_attempts()
    schedule.claim("cpu", "worker-2")
    for verb in (
        lambda: attempts.fail(old, FailureCode.INTERNAL, "no"),
        lambda: attempts.lose(old, "no"),
        lambda: attempts.hand_back(old, "no"),
        lambda: attempts.pause_at_cap(old, "no"),
    ):
        with pytest.raises(AttemptEnded):
            verb()
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    assert job.attempts.filter(ended_at=None).get().number == 2


def test_three_lost_workers_fail_the_job(job):
    for number in (1, 2, 3):
        attempt = schedule.claim("cpu", f"worker-{number}")
        expire(attempt)
        watchdog.end_silent_attempts()
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Status.FAILED, "worker_lost")
    assert LedgerEntry.objects.total_micro() == 0


@pytest.mark.parametrize("verb", [control.cancel, control.pause, control.resume])
def test_a_finished_job_obeys_nobody(job, alice, verb):
    control.cancel(job, alice)
    with pytest.raises(JobMovedOn):
        verb(job, alice)


def test_only_a_paused_job_resumes(job, alice):
    with pytest.raises(JobMovedOn):
        control.resume(job, alice)
    control.pause(job, alice)
    control.resume(job, alice)
    assert job.status == Status.QUEUED


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "failed"},
        {"status": "succeeded"},
        {"status": "queued", "finished_at": now()},
        {"progress": 1.5},
    ],
)
def test_the_database_refuses_rows_that_cannot_be_true(job, facts):
    from django.db import IntegrityError

    with pytest.raises(IntegrityError), transaction.atomic():
        TrainingJob.objects.filter(pk=job.pk).update(**facts)
