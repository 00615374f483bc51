"""Two workers, two uploads, one row: with real threads on PostgreSQL."""

import datetime
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import current_app
from django.db import connections
from django.utils.timezone import now

from accounts.models import Team
from projects import storage
from projects.errors import StaleImportState
from projects.importing import import_claim, imports
from projects.importing.import_claim import ImportClaim, pending_imports
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion, ImportStatus, Project
from tests.sessions import end_others_for

TABLE = b"text,label\nhello there,a\ngood bye,b\n"

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture(autouse=True)
def silent_broker(monkeypatch):
    """No message goes out: these tests are the workers."""
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def in_threads(count, work):
    def run(_):
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_of_many_deliveries_exactly_one_imports():
    project = Project.objects.create(team=Team.objects.create(name="A", slug="a"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    outcomes = in_threads(4, lambda: imports.import_version(version.pk))
    assert sorted(outcomes) == [False, False, False, True]
    version.refresh_from_db()
    assert version.status == ImportStatus.READY


@pytest.mark.slow
def test_an_import_outlives_a_database_that_goes_away_and_comes_back(monkeypatch):
    monkeypatch.setattr(imports, "CLAIM_RENEWAL_SECONDS", 0.2)
    project = Project.objects.create(team=Team.objects.create(name="A", slug="a"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    with ThreadPoolExecutor(1) as pool:
        importing_it = pool.submit(in_threads, 1, lambda: imports.import_version(version.pk))
        while pending_imports().exists():
            time.sleep(0.01)
        end_others_for(2)
        assert importing_it.result() == [True]
    version.refresh_from_db()
    assert version.status == ImportStatus.READY


def test_uploads_at_the_same_moment_get_numbers_of_their_own():
    project = Project.objects.create(team=Team.objects.create(name="B", slug="b"), name="P")
    first = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    in_threads(
        4,
        lambda: receive_upload(
            project=project, filename="y.csv", chunks=[TABLE + b"more,a\n"], by=None,
            dataset=first.dataset,
        ),
    )  # fmt: skip
    numbers = DatasetVersion.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, len(numbers) + 1))


def test_a_holder_taken_for_dead_neither_publishes_nor_overwrites(monkeypatch):
    """The first worker sleeps past its claim; a second one imports; then the first goes on."""
    project = Project.objects.create(team=Team.objects.create(name="C", slug="c"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    is_stuck, may_go_on = threading.Event(), threading.Event()
    run_child = imports._run_child_process

    def run_slowly(claim, order):
        finished = run_child(claim, order)
        if threading.current_thread().name == "late":
            DatasetVersion.objects.update(claimed_until=now() - datetime.timedelta(seconds=1))
            is_stuck.set()
            assert may_go_on.wait(60)
        return finished

    monkeypatch.setattr(imports, "_run_child_process", run_slowly)
    outcome = []

    def be_late():
        outcome.append(imports.import_version(version.pk))
        connections.close_all()

    late = threading.Thread(target=be_late, name="late")
    late.start()
    assert is_stuck.wait(60)
    assert imports.import_version(version.pk) is True
    version.refresh_from_db()
    published = stored_files(version)
    may_go_on.set()
    late.join()
    assert outcome == [False]
    row = DatasetVersion.objects.get(pk=version.pk)
    assert (row.parquet_key, row.finished_at) == (version.parquet_key, version.finished_at)
    assert stored_files(version) == published


@pytest.mark.slow
def test_a_holder_that_stored_its_files_too_late_leaves_none_behind(monkeypatch):
    """The claim is lost after the files are in storage and before the row is written."""
    project = Project.objects.create(team=Team.objects.create(name="D", slug="d"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    read_upload = imports._read_upload
    winners = []

    def read_then_lose(version, claim):
        answer = read_upload(version, claim)
        monkeypatch.setattr(imports, "_read_upload", read_upload)
        DatasetVersion.objects.update(claimed_until=now() - datetime.timedelta(seconds=1))
        winners.append(imports.import_version(version.pk))
        return answer

    monkeypatch.setattr(imports, "_read_upload", read_then_lose)
    assert imports.import_version(version.pk) is False
    assert winners == [True]
    version.refresh_from_db()
    assert version.status == ImportStatus.READY
    folder, _, _ = version.parquet_key.rpartition("/")
    assert storage.list_folders(f"datasets/{version.pk}") == [folder.rpartition("/")[2]]
    assert set(stored_files(version)) == {version.parquet_key, version.rejects_key}


def test_a_failure_found_too_late_does_not_hide_the_published_table(monkeypatch):
    project = Project.objects.create(team=Team.objects.create(name="E", slug="e"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    run_child = imports._run_child_process

    def lose_then_break(claim, order):
        monkeypatch.setattr(imports, "_run_child_process", run_child)
        DatasetVersion.objects.update(claimed_until=now() - datetime.timedelta(seconds=1))
        assert imports.import_version(version.pk) is True
        raise RuntimeError("the late one breaks")

    monkeypatch.setattr(imports, "_run_child_process", lose_then_break)
    assert imports.import_version(version.pk) is False
    version.refresh_from_db()
    assert (version.status, version.failure_code) == (ImportStatus.READY, None)
    assert storage.exists(version.parquet_key)


def test_a_slow_transfer_keeps_the_claim(monkeypatch):
    monkeypatch.setattr(imports, "CLAIM_RENEWAL_SECONDS", 0.05)
    project = Project.objects.create(team=Team.objects.create(name="F", slug="f"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    put, moments = storage.put_file, []

    def put_slowly(key, path):
        for _ in range(20):
            moments.append(DatasetVersion.objects.get(pk=version.pk).claimed_until)
            time.sleep(0.02)
        connections.close_all()
        put(key, path)

    monkeypatch.setattr(storage, "put_file", put_slowly)
    assert imports.import_version(version.pk) is True
    assert moments[-1] > moments[0]


def test_of_two_claims_the_first_can_no_longer_be_renewed():
    project = Project.objects.create(team=Team.objects.create(name="G", slug="g"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    first = ImportClaim.take(version.pk)
    assert ImportClaim.take(version.pk) is None
    first.renew()
    DatasetVersion.objects.update(claimed_until=now() - datetime.timedelta(seconds=1))
    second = ImportClaim.take(version.pk)
    assert second.until > first.until
    assert second.folder != first.folder
    with pytest.raises(StaleImportState):
        first.renew()
    with pytest.raises(StaleImportState):
        version.fail(first.until, "internal", "Too late.")
    second.renew()
    version.refresh_from_db()
    assert (version.status, version.claimed_until) == (ImportStatus.IMPORTING, second.until)


def test_a_renewal_whose_answer_was_lost_is_still_ours(monkeypatch):
    project = Project.objects.create(team=Team.objects.create(name="H", slug="h"), name="P")
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    claim = ImportClaim.take(version.pk)
    monkeypatch.setattr(import_claim, "retry_on_disconnect", lambda update: (update(), update())[1])
    claim.renew()
    version.refresh_from_db()
    assert version.claimed_until == claim.until


def stored_files(version):
    """The keys of this version's files, each with its bytes."""
    files = {}
    for folder in storage.list_folders(f"datasets/{version.pk}"):
        for name in ("data.parquet", "rejects.csv"):
            key = f"datasets/{version.pk}/{folder}/{name}"
            if storage.exists(key):
                with storage.open_file(key) as file:
                    files[key] = file.read()
    return files
