"""Two workers, two uploads, one row: with real threads on PostgreSQL."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from accounts.models import Team
from projects import importing, tasks
from projects.models import DatasetVersion, ImportStatus, Project
from projects.uploading import receive
from tests.sessions import end_others_for

TABLE = b"text,label\nhello there,a\ngood bye,b\n"

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture(autouse=True)
def silent_broker(monkeypatch):
    """No message goes out: these tests are the workers."""
    monkeypatch.setattr(tasks.import_version, "apply_async", lambda *_, **__: None)


def in_threads(count, deed):
    def run(_):
        try:
            return deed()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_of_many_deliveries_exactly_one_imports():
    project = Project.objects.create(team=Team.objects.create(name="A", slug="a"), name="P")
    version = receive(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    outcomes = in_threads(4, lambda: importing.import_version(version.pk))
    assert sorted(outcomes) == [False, False, False, True]
    version.refresh_from_db()
    assert version.status == ImportStatus.READY


def test_an_import_outlives_a_database_that_goes_away_and_comes_back(monkeypatch):
    monkeypatch.setattr(importing, "RENEW_SECONDS", 0.2)
    project = Project.objects.create(team=Team.objects.create(name="A", slug="a"), name="P")
    version = receive(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    with ThreadPoolExecutor(1) as pool:
        importing_it = pool.submit(in_threads, 1, lambda: importing.import_version(version.pk))
        while importing.waiting().exists():
            time.sleep(0.01)
        end_others_for(2)
        assert importing_it.result() == [True]
    version.refresh_from_db()
    assert version.status == ImportStatus.READY


def test_uploads_at_the_same_moment_get_numbers_of_their_own():
    project = Project.objects.create(team=Team.objects.create(name="B", slug="b"), name="P")
    first = receive(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    in_threads(
        4,
        lambda: receive(
            project=project, filename="y.csv", chunks=[TABLE + b"more,a\n"], by=None,
            dataset=first.dataset,
        ),
    )  # fmt: skip
    numbers = DatasetVersion.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, len(numbers) + 1))
