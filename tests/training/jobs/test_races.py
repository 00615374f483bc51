"""Every way out of every state, tried by two actors at the same instant: exactly one wins."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from billing.budgets import budget
from billing.metering import runs
from billing.metering.cost_summary import load_cost_summary
from billing.models import Budget, LedgerEntry, MeteredRun
from tests.training.queued import allow, copy_of, expire
from training.artifacts import checkpoint_retention
from training.errors import AlreadyRetried, AttemptEnded, CannotLaunch, StaleJobState
from training.jobs import actions, attempts
from training.models import (
    Attempt,
    Checkpoint,
    DesiredState,
    Evaluation,
    FailureCode,
    Status,
    TrainedModel,
    TrainingJob,
    Worker,
)
from training.scheduling import claims, watchdog, workers

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
ROUNDS = 4  # Each pair meets a few times, for either may come first.
LOSERS = (StaleJobState, AttemptEnded, AlreadyRetried)


def at_once(*deeds: Callable[[], object]) -> list[str]:
    """What became of each deed: "done", or the name of the refusal. Anything else fails."""
    gate, outcomes = threading.Barrier(len(deeds)), ["died"] * len(deeds)

    def run(place: int, deed: Callable[[], object]) -> None:
        try:
            gate.wait(30)
            outcomes[place] = "nothing" if deed() is None else "done"
        except LOSERS as refusal:
            outcomes[place] = type(refusal).__name__
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def fresh(job: TrainingJob) -> TrainingJob:
    return TrainingJob.objects.get(pk=job.pk)


def running(job: TrainingJob) -> Attempt:
    attempt = claims.claim("cpu", "worker-1")
    assert attempt is not None
    assert attempt.job_id == job.pk
    runs.heartbeat(attempt.run_id, attempt.run.fence, 1, uptime_ms=1)
    return attempt


def result_of(attempt: Attempt) -> Callable[[], object]:
    job = attempt.job
    model = TrainedModel(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="m",
        task=job.task, base_model=job.base_model, artifact_key=f"artifacts/{job.pk}",
    )  # fmt: skip
    return done(lambda: attempts.finish(attempt, model, Evaluation(model=model, report={})))


def done(deed: Callable[[], object]) -> Callable[[], object]:
    """The deed, answering something even where it returns nothing."""

    def act() -> object:
        deed()
        return True

    return act


def all_is_consistent(job: TrainingJob) -> None:
    """Nothing is left open, reserved or billed twice, and the row tells one story."""
    job = fresh(job)
    live = job.attempts.live().count()
    assert live == (1 if job.status == Status.RUNNING else 0)
    assert MeteredRun.objects.filter(source=job.source).live().count() == live
    billed = load_cost_summary(job.source)
    assert LedgerEntry.objects.filter(about=job.source).total_micro() == billed.net_micro
    held = budget.get_budget(job.team)
    assert held.spent_micro == LedgerEntry.objects.filter(team=job.team).total_micro()
    if not MeteredRun.objects.filter(team=job.team).live().exists():
        assert held.reserved_micro == 0
    assert (job.status == Status.SUCCEEDED) == (job.model_id is not None)


VERBS: dict[str, Callable[[Attempt, object], Callable[[], object]]] = {
    "pause": lambda attempt, who: done(lambda: actions.pause(fresh(attempt.job), who)),
    "cancel": lambda attempt, who: done(lambda: actions.cancel(fresh(attempt.job), who)),
    "requeue": lambda attempt, who: done(lambda: actions.requeue(fresh(attempt.job), who)),
    "refund": lambda attempt, who: done(
        lambda: actions.fail_with_refund(fresh(attempt.job), who, "Broken.")
    ),
    "finish": lambda attempt, who: result_of(attempt),
    "fail": lambda attempt, who: done(
        lambda: attempts.fail(attempt, FailureCode.INTERNAL, "It broke.")
    ),
    "cap": lambda attempt, who: done(
        lambda: attempts.pause_at_spend_cap(attempt, claims.PAUSED_AT_CAP_MESSAGE)
    ),
    "time limit": lambda attempt, who: done(lambda: attempts.fail_at_time_limit(attempt)),
    "hand back": lambda attempt, who: done(lambda: attempts.release(attempt, "Leaving.")),
    "lose": lambda attempt, who: done(lambda: attempts.fail_lost(attempt, "Silence.")),
    "smaller": lambda attempt, who: done(lambda: attempts.retry_with_smaller_batch(attempt)),
}
# After the first of these the other may still be legal: a paused or queued job can be cancelled.
FOLLOWS = {
    Status.PAUSED: {"cancel", "requeue"},
    Status.QUEUED: {"cancel", "pause", "refund"},
}
PAIRS = [
    ("pause", "finish"), ("cancel", "finish"), ("refund", "finish"), ("time limit", "finish"),
    ("pause", "cancel"), ("pause", "cap"), ("pause", "fail"), ("pause", "lose"),
    ("pause", "hand back"), ("pause", "time limit"), ("pause", "smaller"),
    ("cancel", "fail"), ("cancel", "cap"), ("cancel", "lose"), ("cancel", "hand back"),
    ("cancel", "time limit"), ("cancel", "smaller"), ("cancel", "refund"),
    ("requeue", "cancel"), ("requeue", "finish"), ("requeue", "pause"), ("requeue", "fail"),
    ("requeue", "lose"), ("finish", "lose"), ("finish", "cap"), ("fail", "lose"),
    ("finish", "finish"), ("cancel", "cancel"), ("pause", "pause"), ("requeue", "requeue"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_verbs_on_a_running_job(job, alice, one, other):
    allow(job, 1)
    running(job)
    attempt = job.attempts.select_related("job", "run").get()
    outcomes = at_once(VERBS[one](attempt, alice), VERBS[other](attempt, alice))
    status = fresh(job).status
    assert "done" in outcomes
    assert "died" not in outcomes
    if outcomes == ["done", "done"]:  # One after the other, each legal where it came.
        ended_as = {Status.CANCELLED: "cancel", Status.FAILED: "refund", Status.PAUSED: "pause"}
        assert {one, other} & (FOLLOWS[Status.PAUSED] | FOLLOWS[Status.QUEUED])
        assert ended_as.get(status, "requeue") in {one, other}
    all_is_consistent(job)


@pytest.mark.parametrize("verb", [actions.cancel, actions.pause])
def test_a_claim_and_a_verb_at_once(job, alice, verb):
    for _ in range(ROUNDS):
        other = copy_of(job, name="raced")
        TrainingJob.objects.exclude(pk=other.pk).filter(status=Status.QUEUED).update(priority=-10)
        outcomes = at_once(
            lambda: claims.claim("cpu", "worker-1"), done(lambda o=other: verb(fresh(o), alice))
        )
        assert outcomes[1] == "done"  # Legal before and after the claim.
        assert fresh(other).status in (Status.CANCELLED, Status.PAUSED)
        all_is_consistent(other)
        for attempt in Attempt.objects.live().select_related("job"):
            actions.cancel(attempt.job, alice)


def test_a_resume_and_a_cancel_at_once(job, alice):
    for _ in range(ROUNDS):
        paused = copy_of(job)
        paused.pause()
        resumed, cancelled = at_once(
            done(lambda p=paused: actions.resume(fresh(p), alice)),
            done(lambda p=paused: actions.cancel(fresh(p), alice)),
        )
        assert cancelled == "done"
        assert resumed in ("done", "StaleJobState")
        assert fresh(paused).status == Status.CANCELLED
        all_is_consistent(paused)


def test_resuming_twice_at_once_resumes_once(job, alice):
    job.pause()
    resume = done(lambda: actions.resume(fresh(job), alice))
    assert sorted(at_once(resume, resume)) == ["StaleJobState", "done"]
    assert fresh(job).status == Status.QUEUED


def test_retrying_twice_at_once_makes_one_job(job, alice):
    job.fail(FailureCode.INTERNAL, "It broke.")
    retry = done(lambda: actions.retry(fresh(job), alice))
    assert sorted(at_once(retry, retry, retry)) == ["AlreadyRetried", "AlreadyRetried", "done"]
    assert job.retries.count() == 1


def test_restarting_twice_at_once_makes_one_job(job, alice):
    saved = Checkpoint.objects.create(job=job, attempt_number=1, step=5, storage_key="x/y")
    job.fail(FailureCode.WORKER_LOST, "It was lost.")
    restart = done(lambda: actions.restart(fresh(job), saved, alice))
    assert sorted(at_once(restart, restart)) == ["AlreadyRetried", "done"]
    assert saved.restarts.count() == 1


def test_a_restart_and_the_deletion_of_its_checkpoint_at_once(job, alice):
    job.fail(FailureCode.WORKER_LOST, "It was lost.")
    for step in range(ROUNDS):
        saved = Checkpoint.objects.create(job=job, attempt_number=1, step=step, storage_key="x/y")

        def restart(saved: Checkpoint = saved) -> object:
            try:
                return actions.restart(fresh(job), saved, alice)
            except CannotLaunch:
                return None

        made, _ = at_once(restart, done(lambda s=saved: checkpoint_retention.delete_checkpoint(s)))
        saved.refresh_from_db()
        assert (made == "done") == (saved.deleted_at is None)


def test_a_drain_and_a_claim_at_once(job, alice):
    allow(job, 99)
    for number in range(ROUNDS):
        name = f"worker-{number}"
        workers.register(name, "cpu", devices=[])
        copy_of(job)
        worker = Worker.objects.get(pk=name)
        claimed, drained = at_once(
            lambda n=name: claims.claim("cpu", n),
            done(lambda w=worker: workers.set_desired_state(w, DesiredState.DRAIN, alice)),
        )
        assert drained == "done"
        carries = Attempt.objects.live().filter(worker=name).exists()
        assert carries == (claimed == "done")
        assert claims.claim("cpu", name) is None


def test_a_heartbeat_a_watchdog_and_a_cancel_at_once(job, alice):
    running(job)
    attempt = job.attempts.select_related("job", "run").get()
    expire(attempt)
    outcomes = at_once(
        done(watchdog.end_silent_attempts),
        done(lambda: actions.cancel(fresh(job), alice)),
        done(lambda: runs.heartbeat(attempt.run_id, attempt.run.fence, 50)),
    )
    assert outcomes == ["done", "done", "done"]
    assert fresh(job).status == Status.CANCELLED
    all_is_consistent(job)


def test_the_cap_and_a_pause_at_once_bill_no_more_than_the_cap(job, alice):
    cap = 101  # A lease of five seconds, and no second one.
    budget.get_budget(job.team)
    Budget.objects.filter(pk=job.team_id).update(cap_micro=cap)
    running(job)
    attempt = job.attempts.select_related("job", "run").get()
    at_once(
        done(lambda: runs.heartbeat(attempt.run_id, attempt.run.fence, 9_000)),
        done(lambda: actions.pause(fresh(job), alice)),
    )
    watchdog.end_silent_attempts()
    assert fresh(job).status == Status.PAUSED
    assert budget.get_budget(job.team).spent_micro <= cap
    all_is_consistent(job)


def test_the_loser_reads_a_sentence(job, alice, client_of, api, token):
    job.cancel()
    for verb in ("pause", "resume", "cancel"):
        answer = api(token).post(f"/api/v1/training-jobs/{job.pk}/{verb}")
        assert answer.status_code == 409
        assert "already moved on" in answer.json()["error"]["message"]
    assert api(token).post(f"/api/v1/training-jobs/{job.pk}/retry").status_code == 201
    answer = api(token).post(f"/api/v1/training-jobs/{job.pk}/retry")
    assert answer.status_code == 409
    assert "already started again" in answer.json()["error"]["message"]
    page = client_of(alice).post(f"/jobs/{job.pk}/retry/")
    assert page.status_code == 409
    assert "already started again" in page.content.decode()
