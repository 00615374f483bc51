"""Operators see jobs and act on them by the jobs' own verbs, on record."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import AuditEntry, User
from billing.metering import runs
from billing.metering.cost_summary import load_cost_summary
from billing.models import Rate
from training.models import Attempt, ComputeClass, Status, TrainingJob, Worker
from training.scheduling import workers


@pytest.fixture
def operator(db, client_of) -> Client:
    return client_of(User.objects.create_superuser("root@lathe.test", "correct horse"))


def act(browser: Client, action: str, job: TrainingJob, **typed: str) -> str:
    address = "/admin/training/trainingjob/"
    chosen = {"action": action, "_selected_action": [str(job.pk)]}
    answer = browser.post(address, chosen | typed, follow=True)
    job.refresh_from_db()
    return answer.content.decode()


@pytest.mark.parametrize("name", ["trainingjob", "computeclass", "worker", "trainedmodel"])
def test_every_list_opens(operator, job, name):
    assert operator.get(f"/admin/training/{name}/").status_code == 200


def test_a_job_opens_read_only(operator, job):
    job.add_event("Hello")
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
    run = runs.open_run(job.team, job.source, "cpu")
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


def test_failing_needs_a_reason_gives_everything_back_and_is_audited(operator, job):
    assert "Give a reason" in act(operator, "fail_jobs", job)
    assert job.status == Status.QUEUED
    job.start()
    run = runs.open_run(job.team, job.source, "cpu")
    Attempt.objects.create(job=job, number=1, worker="a", run=run)
    runs.heartbeat(run.pk, run.fence, 1)
    assert "1 failed and given back" in act(operator, "fail_jobs", job, reason="The disk broke")
    assert (job.status, job.failure_code) == (Status.FAILED, "internal")
    assert "The disk broke. You were not charged." in job.failure_sentence
    assert load_cost_summary(job.source).net_micro == 0
    assert AuditEntry.objects.get(action="job.failed").detail["reason"] == "The disk broke."


@pytest.mark.parametrize("typed", ["", "high", "101", "-11", "9" * 40])
def test_a_priority_out_of_bounds_is_refused(operator, job, typed):
    assert "from -10 to 100" in act(operator, "prioritise_jobs", job, priority=typed)
    assert job.priority == 0


def test_a_priority_is_set_and_audited(operator, job):
    assert "1 given priority 50" in act(operator, "prioritise_jobs", job, priority="50")
    assert job.priority == 50
    assert AuditEntry.objects.get(action="job.prioritised").detail == {"priority": 50}


CLASS = {
    "code": "gpu-h100", "name": "H100", "device": "cuda", "devices": "1", "memory_gib": "80",
    "time_limit_seconds": "3600", "dollars_an_hour": "3.60", "is_offered": "on", "order": "2",
}  # fmt: skip


def test_a_compute_class_is_added_with_a_price_and_repriced_by_a_new_version(operator):
    answer = operator.post("/admin/training/computeclass/add/", CLASS)
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    machine = ComputeClass.objects.get(code="gpu-h100")
    assert machine.memory_bytes == 80 * 2**30
    first = Rate.objects.current("gpu-h100")
    assert first.nano_per_unit == 1_000_000
    address = "/admin/training/computeclass/gpu-h100/change/"
    operator.post(address, CLASS)
    assert Rate.objects.filter(sku="gpu-h100").count() == 1
    operator.post(address, CLASS | {"dollars_an_hour": "7.2"})
    assert Rate.objects.current("gpu-h100").nano_per_unit == 2_000_000
    first.refresh_from_db()
    assert first.valid.upper is not None
    page = operator.get(address).content.decode()
    assert "$7.2 an hour" in page
    assert "$3.6 an hour" in page
    assert AuditEntry.objects.filter(action="rate.superseded", target="gpu-h100").count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"dollars_an_hour": ""}, {"dollars_an_hour": "-1"}, {"dollars_an_hour": "NaN"},
        {"memory_gib": "0"}, {"devices": "0"}, {"time_limit_seconds": "5"}, {"code": "a b"},
        {"code": "cpu"},
    ],
)  # fmt: skip
def test_a_class_that_cannot_work_is_refused_in_words(operator, wrong):
    answer = operator.post("/admin/training/computeclass/add/", CLASS | wrong)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_a_class_is_deleted_only_while_nothing_names_it(operator, job):
    ComputeClass.objects.create(code="spare", name="Spare", device="cpu", memory_bytes=1)
    page = operator.get("/admin/training/computeclass/cpu/delete/").content.decode()
    assert "1 fine-tune names it. Stop offering it instead." in page
    operator.post("/admin/training/computeclass/cpu/delete/", {"post": "yes"})
    assert ComputeClass.objects.filter(pk="cpu").exists()
    operator.post("/admin/training/computeclass/spare/delete/", {"post": "yes"})
    assert not ComputeClass.objects.filter(pk="spare").exists()


def test_workers_are_drained_stopped_and_put_back_to_work_on_record(operator, db):
    workers.register("w", "cpu", devices=[{"name": "A chip", "memory_bytes": 2**33}])
    for action in ("drain", "stop", "work"):
        answer = operator.post(
            "/admin/training/worker/", {"action": action, "_selected_action": ["w"]}, follow=True
        )
        assert f"1 told to {action}" in answer.content.decode()
        assert Worker.objects.get().wish == action
        assert AuditEntry.objects.filter(action=f"worker.{action}", target="w").exists()
    assert "A chip 8 GiB" in operator.get("/admin/training/worker/").content.decode()


def test_the_compute_page_shows_idle_machines_and_who_waits(operator, job):
    page = operator.get("/admin/training/computeclass/overview/").content.decode()
    assert "no cpu worker has ever been seen" in page
    workers.register("idle-one", "gpu", devices=[{"name": "H100", "memory_bytes": 2**36}])
    assert "idle-one" in operator.get("/admin/training/computeclass/overview/").content.decode()


@pytest.mark.parametrize("address", ["worker/", "computeclass/overview/"])
def test_a_thousand_workers_take_no_more_queries_than_a_few(operator, job, address):
    for number in range(3):
        workers.register(f"first-{number}", "cpu", devices=[])
    operator.get(f"/admin/training/{address}")
    with CaptureQueriesContext(connection) as few:
        operator.get(f"/admin/training/{address}")
    facts = {"compute_class_id": "cpu", "version": "1", "seen_at": now(), "idle_since": now()}
    Worker.objects.bulk_create(Worker(name=f"w-{n}", **facts) for n in range(1000))
    with CaptureQueriesContext(connection) as many:
        assert operator.get(f"/admin/training/{address}").status_code == 200
    assert len(many) <= len(few) + 1


def test_staff_without_the_right_only_look(client_of, db, job):
    person = User.objects.create_user("staff@lathe.test", "correct horse", is_staff=True)
    person.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    browser = client_of(person)
    workers.register("w", "cpu", devices=[])
    browser.post("/admin/training/worker/", {"action": "stop", "_selected_action": ["w"]})
    assert Worker.objects.get().wish == "work"
    act(browser, "cancel_jobs", job)
    assert job.status == Status.QUEUED
