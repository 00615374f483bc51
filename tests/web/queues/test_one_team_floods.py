"""Each shared queue flooded by one team: another team's work starts within five seconds."""

import threading
import time
from collections.abc import Callable

import pytest
from django.core import mail
from django.db import connection
from django.utils.timezone import now

from accounts.models import Membership, Notice, NoticeEmail, WebhookDelivery, WebhookEndpoint
from accounts.notifications import email, fan_out
from accounts.notifications.publish import publish
from accounts.webhooks import delivery, endpoints
from accounts.webhooks.http_client import DeliveryResult
from config import queues
from projects.importing import imports
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from training.analysis import requests
from training.models import Analysis, TrainedModel

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
BOUND_SECONDS = 5.0
SLOW_SECONDS = 0.6  # What each piece of the flood takes.


class Starts:
    """When work of the other team began, counted from its arrival."""

    def __init__(self) -> None:
        self.arrived_at = 0.0
        self.waited: float | None = None
        self.done = threading.Event()

    def arrive(self) -> None:
        self.arrived_at = time.monotonic()

    def begin(self) -> None:
        self.waited = time.monotonic() - self.arrived_at
        self.done.set()


def work_in_threads(count: int, act: Callable[[], object], until: threading.Event) -> list:
    def loop() -> None:
        try:
            while not until.is_set():
                if not act():
                    time.sleep(0.05)
        finally:
            connection.close()

    threads = [threading.Thread(target=loop) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def finish(starts: Starts, threads: list, stop: threading.Event) -> None:
    starts.done.wait(30)
    stop.set()
    for thread in threads:
        thread.join()
    assert starts.waited is not None, "the other team's work never began"
    assert starts.waited < BOUND_SECONDS


def waiting_version(project: Project, number: int) -> DatasetVersion:
    dataset = Dataset.objects.create(project=project, name=f"d{number}")
    return DatasetVersion.objects.create(
        dataset=dataset, number=1, status=ImportStatus.IMPORTING, filename="x.csv",
        upload_key="uploads/none", upload_bytes=1, upload_sha256="0" * 64,
    )  # fmt: skip


def test_imports(project, other_team, monkeypatch):
    starts, stop = Starts(), threading.Event()
    for number in range(100):
        waiting_version(project, number)

    def slow(claim):
        version = DatasetVersion.objects.get(pk=claim.version_id)
        if version.dataset.project.team_id == other_team.pk:
            starts.begin()
        time.sleep(SLOW_SECONDS)
        version.fail(claim.until, "x", "Over.")

    monkeypatch.setattr(imports, "_import_claimed", slow)
    monkeypatch.setattr(imports, "enqueue", lambda *args: None)
    threads = work_in_threads(queues.IMPORTS.threads, imports.import_next, stop)
    time.sleep(1)
    hers = Project.objects.create(team=other_team, name="Hers")
    starts.arrive()
    waiting_version(hers, 0)
    finish(starts, threads, stop)


def test_analyses(project, dataset_version, other_team, alice, monkeypatch):
    starts, stop = Starts(), threading.Event()
    model = TrainedModel.objects.create(
        team=project.team, project=project, dataset_version=dataset_version, name="m",
        task="text-classification", base_model="b", artifact_key="none",
    )  # fmt: skip

    def ask(team, number):
        Analysis.objects.create(team=team, model=model, kind="explain", question={"n": number})

    def slow(analysis):
        if analysis.team_id == other_team.pk:
            starts.begin()
        time.sleep(SLOW_SECONDS)
        Analysis.objects.filter(pk=analysis.pk).update(finished_at=now(), result={})

    monkeypatch.setattr(requests, "_run_analysis", slow)
    for number in range(12):
        ask(project.team, number)
    threads = work_in_threads(queues.ANALYSES.threads, requests.run_pending_analyses, stop)
    time.sleep(1)
    starts.arrive()
    ask(other_team, 0)
    finish(starts, threads, stop)


def test_webhooks(team, alice, other_team, mallory, monkeypatch):
    starts, stop = Starts(), threading.Event()

    def endpoint_of(team_, person, host) -> WebhookEndpoint:
        url = f"https://{host}.test/"
        return endpoints.create(team_, person, url=url, events=["dataset.ready"])[0]

    def deliver(endpoint, number):
        WebhookDelivery.objects.create(
            endpoint=endpoint, event="dataset.ready", event_id=f"{endpoint.pk}-{number}", body="{}"
        )

    def slow(url, headers, body):
        if "hers" in url:
            starts.begin()
            return DeliveryResult(status=200)
        time.sleep(SLOW_SECONDS)
        return DeliveryResult(status=200)

    monkeypatch.setattr(delivery.http_client, "post", slow)
    flooding = [endpoint_of(team, alice, f"slow{n}") for n in range(10)]
    hers = endpoint_of(other_team, mallory, "hers")
    for endpoint in flooding:
        for number in range(4):
            deliver(endpoint, number)
    threads = work_in_threads(1, delivery.deliver_due, stop)
    time.sleep(1)
    starts.arrive()
    deliver(hers, 0)
    monkeypatch.setattr(delivery, "MAX_RUN_SECONDS", 0)
    finish(starts, threads, stop)


def test_emails(team, alice, other_team, mallory, monkeypatch):
    starts, stop = Starts(), threading.Event()
    Membership.objects.update(role="owner")

    class Backend:
        def send_messages(self, messages):
            for message in messages:
                if "mallory" in message.to[0]:
                    starts.begin()
                time.sleep(0.1)

    monkeypatch.setattr(mail.EmailMultiAlternatives, "get_connection", lambda *_: Backend())
    for number in range(60):
        publish(team, "training_job.failed", f"{number}")
    fan_out.fan_out_pending()
    assert NoticeEmail.objects.due().count() >= 60
    threads = work_in_threads(1, email.send_due, stop)
    time.sleep(1)
    starts.arrive()
    publish(other_team, "training_job.failed", "Hers.")
    fan_out.fan_out_pending()
    monkeypatch.setattr(email, "MAX_RUN_SECONDS", 0)
    finish(starts, threads, stop)


def test_notices(team, other_team, alice, mallory):
    for number in range(3 * fan_out.BATCH_SIZE):
        publish(team, "training_job.failed", f"{number}")
    publish(other_team, "training_job.failed", "Hers.")
    assert fan_out._fan_out_batch() == fan_out.BATCH_SIZE
    assert Notice.objects.get(team=other_team).fanned_out_at is not None


def test_imports_of_one_team_use_what_nobody_else_needs(project, other_team):
    from projects.importing.import_claim import MAX_RUNNING_PER_TEAM, ImportClaim

    mine = [waiting_version(project, number) for number in range(4)]
    hers = waiting_version(Project.objects.create(team=other_team, name="Hers"), 0)
    taken = [ImportClaim.take_next() for _ in range(4)]
    got = [claim.version_id for claim in taken if claim]
    assert got == [mine[0].pk, hers.pk, mine[1].pk]
    assert MAX_RUNNING_PER_TEAM == 2
