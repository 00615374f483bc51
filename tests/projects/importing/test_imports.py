"""From upload to ready version: claims, retries, duplicates, failures."""

import datetime

import pytest
from celery import current_app
from django.test import override_settings
from django.utils.timezone import now

from accounts.models import AuditEntry
from projects import storage
from projects.errors import BadUpload, UploadTooLarge
from projects.importing import imports
from projects.importing.import_claim import ImportClaim, pending_imports
from projects.importing.uploads import receive_upload, reimport
from projects.models import Dataset, DatasetVersion, ImportStatus
from web import child_process

pytestmark = pytest.mark.usefixtures("quick_child")
TABLE = b"text,label\n" + b"".join(
    b"some text %d,%s\n" % (n, b"ab"[n % 2 : n % 2 + 1]) for n in range(60)
)


def test_an_upload_becomes_a_typed_table(bring_in, alice):
    version = bring_in(TABLE, "tickets.csv", by=alice)
    assert version.status == ImportStatus.READY
    assert (version.rows, version.rejected_rows, version.number) == (60, 0, 1)
    assert [column["name"] for column in version.columns] == ["text", "label"]
    assert storage.exists(version.parquet_key)
    assert len(version.content_sha256) == 64
    assert version.profile["suggested"]["target_column"] == "label"
    assert AuditEntry.objects.filter(action="dataset.uploaded", actor=alice.email).exists()


def test_the_import_is_enqueued_only_after_the_commit(
    project, django_capture_on_commit_callbacks, monkeypatch
):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda *message, **_: sent.append(message))
    with django_capture_on_commit_callbacks(execute=True):
        receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None)
        assert sent == []
    assert sent == [("projects.tasks.import_next", ())]


def test_a_second_delivery_finds_nothing_to_do(bring_in):
    version = bring_in(TABLE)
    finished = version.finished_at
    assert imports.import_version(version.pk) is False
    version.refresh_from_db()
    assert version.finished_at == finished


def test_a_delivery_for_a_claimed_import_leaves_it_alone(project):
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    DatasetVersion.objects.update(claimed_until=now() + datetime.timedelta(seconds=60))
    assert imports.import_version(version.pk) is False
    assert not pending_imports().exists()


def test_an_import_whose_worker_died_waits_again(project):
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    DatasetVersion.objects.update(claimed_until=now() - datetime.timedelta(seconds=1))
    assert list(pending_imports()) == [version]
    assert imports.import_version(version.pk) is True


def test_a_worker_that_lost_its_row_stops(project, monkeypatch):
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    monkeypatch.setattr(imports, "CLAIM_RENEWAL_SECONDS", 0.01)
    renew = ImportClaim.renew

    def lose(claim):
        renew(claim)
        version.fail(claim.until, "internal", "Decided elsewhere.")
        renew(claim)

    monkeypatch.setattr(ImportClaim, "renew", lose)
    assert imports.import_version(version.pk) is False
    version.refresh_from_db()
    assert version.failure_sentence == "Decided elsewhere."
    assert storage.list_folders(f"datasets/{version.pk}") == []


def test_resuming_nudges_what_waits(project, monkeypatch):
    receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None)
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda *message, **_: sent.append(message))
    imports.resume()
    assert sent == [("projects.tasks.import_next", ())]


def test_an_unexpected_error_becomes_a_sentence_and_can_be_retried(
    bring_in, monkeypatch, alice, caplog
):
    def explode(*_):
        raise RuntimeError("disk on fire")

    with monkeypatch.context() as broken:
        broken.setattr(imports, "_run_child_process", explode)
        version = bring_in(TABLE)
    assert (version.status, version.failure_code) == (ImportStatus.FAILED, "internal")
    assert "disk on fire" not in version.failure_sentence
    assert "disk on fire" in caplog.text
    again = reimport(version, {}, alice)
    imports.import_version(again.pk)
    again.refresh_from_db()
    assert (again.number, again.status) == (2, ImportStatus.READY)


@pytest.mark.parametrize(
    ("status", "log", "code"),
    [
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", "out_of_memory"),
        (1, "MemoryError", "out_of_memory"),
        (-11, "", "crashed"),
        (1, "trace", "internal"),
        (None, "", "time_limit"),
    ],
)
def test_a_child_that_dies_fails_the_import_and_nothing_else(
    bring_in, monkeypatch, status, log, code
):
    finished = child_process.Finished(status, "", log)
    monkeypatch.setattr(imports, "_run_child_process", lambda *_: finished)
    assert bring_in(TABLE).failure_code == code


@pytest.mark.parametrize(
    ("content", "filename", "code"),
    [
        (b"a,b\n", "x.csv", "no_rows"),
        (b"\n\n", "x.csv", "empty_file"),
        (b"PK\x03\x04", "x.zip", "bad_archive"),
        (b"%PDF-1.4", "x.pdf", "bad_document"),
        (b"[1, 2", "x.json", "bad_json"),
    ],
)
def test_what_cannot_be_read_fails_with_code_and_sentence(bring_in, content, filename, code):
    version = bring_in(content, filename)
    assert version.failure_code == code
    assert version.failure_sentence.endswith(".")


def test_an_empty_upload_is_refused_at_once(project):
    with pytest.raises(BadUpload):
        receive_upload(project=project, filename="x.csv", chunks=[b""], by=None)
    assert not Dataset.objects.exists()


@override_settings(MAX_UPLOAD_BYTES=100)
def test_an_upload_beyond_the_limit_is_cut_off(project):
    with pytest.raises(UploadTooLarge):
        receive_upload(project=project, filename="x.csv", chunks=[b"x" * 60, b"x" * 60], by=None)
    assert not DatasetVersion.objects.exists()


def test_a_second_upload_is_the_next_version_and_the_same_bytes_are_told(bring_in, project):
    first = bring_in(TABLE)
    second = bring_in(TABLE + b"more,a\n", dataset=first.dataset)
    assert (second.dataset, second.number) == (first.dataset, 2)
    repeat = receive_upload(
        project=project,
        filename="y.csv",
        chunks=[TABLE + b"more,a\n"],
        by=None,
        dataset=first.dataset,
    )
    assert repeat.is_duplicate
    assert repeat.version == second


@pytest.mark.parametrize(
    "filename",
    ["", "../../etc/passwd", "C:\\x\\y.csv", "\0\n\u202e", "x" * 999, "\ud800.csv", "💥.csv"],
)
def test_strange_file_names_are_harmless(bring_in, filename):
    version = bring_in(TABLE, filename)
    assert version.status == ImportStatus.READY
    assert "/" not in version.filename
    assert version.filename


def test_a_reading_chosen_by_hand_makes_a_new_version(bring_in, alice):
    version = bring_in(b"a;b\n1,5;2\n3,5;4\n")
    again = reimport(version, {"delimiter": ",", "header_rows": 0, "nonsense": 1}, alice)
    imports.import_version(again.pk)
    again.refresh_from_db()
    assert (again.number, again.upload_key) == (2, version.upload_key)
    assert again.overrides == {"delimiter": ",", "header_rows": 0}
    assert again.dialect["delimiter"] == ","


def test_personal_data_is_found_and_masked_in_a_new_version(bring_in, alice):
    from projects.queries import preview

    rows = b"".join(
        b"write to ann.lee%d@mail.example or +44 20 7946 0%03d,x\n" % (n, n) for n in range(30)
    )
    version = bring_in(b"text,label\n" + rows + b"card 4111 1111 1111 1111,y\n")
    kinds = {found["kind"] for found in version.profile["personal_data"]}
    assert {"e-mail", "phone", "card"} <= kinds
    assert all("ann.lee" not in found["example"] for found in version.profile["personal_data"])
    again = reimport(version, {"mask": ["text"]}, alice)
    imports.import_version(again.pk)
    again.refresh_from_db()
    assert again.profile["personal_data"] == []
    assert (
        preview.load_training_rows(again, ["text"], ["label"])[0]["text"]
        == "write to <e-mail> or <phone>"
    )


def test_messy_files_end_ready_or_with_a_sentence(shared, bring_in):
    for path in sorted((shared / "data/messy_csv").rglob("csv*/*.csv"))[::6]:
        content = path.read_bytes()
        if content:
            version = bring_in(content, path.name)
            assert version.status in (ImportStatus.READY, ImportStatus.FAILED)
            assert version.failure_code != "internal"
