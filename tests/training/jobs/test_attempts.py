"""How attempts end: once, and never by an attempt that a newer one has replaced."""

import threading

import pytest
from django.db import connection

from billing.models import MeteredRun
from tests.training.queued import expire
from training.errors import AttemptEnded, StaleJobState
from training.jobs import actions, attempts
from training.models import Evaluation, FailureCode, Status, TrainedModel, TrainingJob
from training.scheduling import claims, watchdog


def test_an_old_attempt_changes_nothing_once_a_new_one_runs(job):
    old = claims.claim("cpu", "worker-1")
    expire(old)
    watchdog.end_silent_attempts()
    claims.claim("cpu", "worker-2")
    for verb in (
        lambda: attempts.fail(old, FailureCode.INTERNAL, "no"),
        lambda: attempts.fail_lost(old, "no"),
        lambda: attempts.release(old, "no"),
        lambda: attempts.pause_at_spend_cap(old, "no"),
    ):
        with pytest.raises(AttemptEnded):
            verb()
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    assert job.attempts.filter(ended_at=None).get().number == 2


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_cancel_and_a_finish_at_once_have_one_winner(job, alice):
    attempt = claims.claim("cpu", "worker-1")
    model = TrainedModel(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="m",
        task=job.task, base_model=job.base_model, artifact_key="artifacts/x",
    )  # fmt: skip

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
            actions.cancel(TrainingJob.objects.get(pk=job.pk), alice)
            outcomes.append("cancelled")
        except StaleJobState:
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
