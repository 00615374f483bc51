"""What everybody may know of an installation's parts."""

import time

import httpx
import pytest
from django.core.cache import cache
from django.utils.timezone import now

from config import status_page
from config.celery import DUTY_KEY
from inference.gateway import models_client
from training.models import TrainingJob, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def parts(monkeypatch):
    """All parts work; a test breaks one."""
    cache.clear()
    cache.set(DUTY_KEY.format("inference.tasks.carry_plans"), time.time())
    monkeypatch.setattr(
        models_client.httpx,
        "get",
        lambda url, **_: httpx.Response(200, request=httpx.Request("GET", url)),
    )


def look(client):
    cache.delete(status_page.CACHE_KEY)
    models_client._read_health.cache_clear()
    answer = client.get("/status/")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.usefixtures("parts")
def test_everything_works_and_says_so_to_a_stranger(client):
    page = look(client)
    assert "Everything works" in page
    assert page.count("Working") == 4


@pytest.mark.usefixtures("parts")
def test_models_that_do_not_answer_are_said(client, monkeypatch):
    def refuse(url, **_):
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(models_client.httpx, "get", refuse)
    page = look(client)
    assert "Models do not answer at the moment." in page
    assert page.count("Working") == 3


@pytest.mark.usefixtures("parts")
def test_a_clock_that_stands_still_is_said(client):
    cache.set(DUTY_KEY.format("inference.tasks.carry_plans"), time.time() - 120)
    page = look(client)
    assert "Nothing is carried out at the moment." in page


@pytest.mark.usefixtures("parts")
def test_a_job_that_no_machine_takes_is_said_until_one_is_there(client, job):
    assert TrainingJob.objects.get().status == "queued"
    assert "No machine takes jobs" in look(client)
    Worker.objects.create(
        name="t1", compute_class=job.compute_class, version="1", seen_at=now(), devices=[]
    )
    assert "Everything works" in look(client)


@pytest.mark.usefixtures("parts")
def test_however_many_look_the_parts_are_asked_once(client, monkeypatch):
    look(client)
    monkeypatch.setattr(status_page, "_read_parts", lambda: pytest.fail("asked again"))
    assert client.get("/status/").status_code == 200
