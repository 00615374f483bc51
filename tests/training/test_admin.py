"""Operators see jobs and act on them by the jobs' own verbs, on record."""

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from billing import metering
from training.models import Attempt, ComputeClass, Status, TrainingJob


@pytest.fixture
def operator(db, client_of) -> Client:
    return client_of(User.objects.create_superuser("root@lathe.test", "correct horse"))


def act(browser: Client, action: str, job: TrainingJob) -> str:
    address = "/admin/training/trainingjob/"
    answer = browser.post(
        address, {"action": action, "_selected_action": [str(job.pk)]}, follow=True
    )
    job.refresh_from_db()
    return answer.content.decode()


@pytest.mark.parametrize("name", ["trainingjob", "computeclass", "worker", "trainedmodel"])
def test_every_list_opens(operator, job, name):
    assert operator.get(f"/admin/training/{name}/").status_code == 200


def test_a_job_opens_read_only(operator, job):
    job.say("Hello")
    page = operator.get(f"/admin/training/trainingjob/{job.pk}/change/").content.decode()
    assert "Hello" in page
    assert 'name="status"' not in page
    assert operator.post(f"/admin/training/trainingjob/{job.pk}/delete/").status_code == 403


def test_cancelling_goes_by_the_verb_and_is_audited(operator, job):
    assert "1 cancelled" in act(operator, "cancel_jobs", job)
    assert job.status == Status.CANCELLED
    entry = AuditEntry.objects.get(action="job.cancelled")
    assert (entry.actor, entry.target) == ("root@lathe.test", str(job.pk))
    assert "1 had already moved on" in act(operator, "cancel_jobs", job)


def test_requeueing_takes_a_job_from_its_machine_and_gives_lost_work_back(operator, job):
    job.start()
    run = metering.open_run(job.team, job.source, "cpu")
    attempt = Attempt.objects.create(job=job, number=1, worker="a", run=run)
    assert "1 queued again" in act(operator, "requeue_jobs", job)
    assert job.status == Status.QUEUED
    attempt.refresh_from_db()
    assert attempt.ended_at
    assert AuditEntry.objects.filter(action="job.requeued").exists()


def test_requeueing_resumes_a_paused_job(operator, job):
    job.pause()
    assert "1 queued again" in act(operator, "requeue_jobs", job)
    assert job.status == Status.QUEUED


def test_a_compute_class_keeps_its_code(operator, db):
    machine = ComputeClass.objects.get(code="cpu")
    page = operator.get(f"/admin/training/computeclass/{machine.pk}/change/").content.decode()
    assert 'name="code"' not in page
