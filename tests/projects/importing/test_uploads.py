"""Uploads that end badly leave nothing; names and bytes of good ones are kept as they came."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile

from accounts.models import AuditEntry
from projects import storage
from projects.errors import BadUpload, UploadTooLarge
from projects.importing.uploads import receive_upload, reimport
from projects.models import Dataset, DatasetVersion, ImportStatus
from web.front.threaded_handler import ThreadedHandler

TABLE = b"text,label\nhello,a\nbye,b\n"


@pytest.fixture
def temporary(tmp_path, monkeypatch, settings):
    """The folder of all temporary files, to see what is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    settings.FILE_UPLOAD_TEMP_DIR = str(folder)
    return folder


def upload(project, content=TABLE, filename="x.csv", **options):
    options.setdefault("by", None)
    return receive_upload(project=project, filename=filename, chunks=[content], **options)


def broken_off():
    yield b"text,label\n"
    raise ConnectionResetError("the client is gone")


def test_an_upload_that_breaks_off_leaves_nothing(project, temporary, monkeypatch):
    stored = []
    monkeypatch.setattr(storage, "put_file", lambda *file: stored.append(file))
    with pytest.raises(ConnectionResetError):
        receive_upload(project=project, filename="x.csv", chunks=broken_off(), by=None)
    assert stored == []
    assert list(temporary.iterdir()) == []
    assert not Dataset.objects.exists()
    assert not AuditEntry.objects.filter(action="dataset.uploaded").exists()


def test_a_refused_upload_leaves_no_temporary_file(project, temporary, settings):
    settings.MAX_UPLOAD_BYTES = 10
    with pytest.raises(UploadTooLarge):
        upload(project)
    with pytest.raises(BadUpload):
        upload(project, b"")
    assert list(temporary.iterdir()) == []


def test_an_upload_of_exactly_the_limit_is_accepted(project, settings):
    settings.MAX_UPLOAD_BYTES = len(TABLE)
    assert upload(project).version.upload_bytes == len(TABLE)


def test_a_storage_that_fails_leaves_no_row_and_no_temporary_file(project, temporary, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "put_file", fail)
    with pytest.raises(OSError, match="No space left"):
        upload(project)
    assert list(temporary.iterdir()) == []
    assert not Dataset.objects.exists()


def test_a_client_that_goes_away_while_sending_leaves_nothing(
    client, alice, project, temporary, settings
):
    """As the server tells it: part of the body, then a disconnect."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10  # What came so far is on disk.
    messages = [
        {"type": "http.request", "body": b"--b\r\n" + b"x" * 5_000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/datasets",
        "query_string": b"",
        "headers": [
            (b"host", b"testserver"),
            (b"content-type", b"multipart/form-data; boundary=b"),
            (b"content-length", b"100000"),
        ],
    }
    asyncio.run(ThreadedHandler(1)(scope, receive, send))
    assert answers == []
    assert list(temporary.iterdir()) == []
    assert not DatasetVersion.objects.exists()


def test_a_large_upload_leaves_no_temporary_file(api, token, project, temporary, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    file = TemporaryUploadedFile("x.csv", "text/csv", len(TABLE), None)
    file.write(TABLE)
    file.seek(0)
    assert list(temporary.iterdir()) == [Path(file.temporary_file_path())]
    body = {"file": file, "project": str(project.pk)}
    assert api(token).post("/api/v1/datasets", body, format="multipart").status_code == 202
    file.close()
    assert list(temporary.iterdir()) == []


def test_what_was_sent_is_kept_byte_for_byte(project):
    version = upload(project, b"\xff\x00\r\n,;\t").version
    with storage.open_file(version.upload_key) as file:
        assert file.read() == b"\xff\x00\r\n,;\t"
    assert version.upload_sha256 == hashlib.sha256(b"\xff\x00\r\n,;\t").hexdigest()


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("tickets.csv", "tickets.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.csv", "y.csv"),
        ("a\u202eb.csv", "ab.csv"),
        ("", "upload"),
        ("\0", "upload"),
        (" spaced .csv ", "spaced .csv"),
        ("x" * 999, "x" * 255),
    ],
)
def test_a_file_is_shown_by_the_printable_end_of_its_name(project, filename, shown):
    assert upload(project, filename=filename).version.filename == shown


def test_a_dataset_is_named_by_hand_or_after_its_file(project):
    assert upload(project, name=" Tickets ").version.dataset.name == "Tickets"
    assert upload(project, TABLE + b"x,a\n", name="  ").version.dataset.name == "x.csv"


def test_the_same_bytes_again_are_told_only_where_they_would_be_read_the_same(project, alice):
    first = upload(project).version
    dataset = first.dataset
    assert upload(project, dataset=dataset).is_duplicate
    DatasetVersion.objects.filter(pk=first.pk).update(
        status=ImportStatus.FAILED, failure_code="internal", finished_at=first.created_at
    )
    second = upload(project, dataset=dataset)
    assert (second.is_duplicate, second.version.number) == (False, 2)
    reimport(second.version, {"delimiter": ";"}, alice)
    third = upload(project, dataset=dataset)
    assert (third.is_duplicate, third.version.number) == (False, 4)


def test_the_same_bytes_in_another_dataset_are_no_duplicate(project):
    first = upload(project)
    second = upload(project)
    assert not second.is_duplicate
    assert second.version.dataset != first.version.dataset


def test_a_reimport_takes_only_known_options_and_shares_the_upload(project, alice):
    version = upload(project).version
    successor = reimport(version, {"delimiter": ";", "mask": ["text"], "nonsense": 1}, alice)
    assert successor.overrides == {"delimiter": ";", "mask": ["text"]}
    assert (successor.upload_key, successor.number) == (version.upload_key, 2)
    assert successor.status == ImportStatus.IMPORTING
    assert AuditEntry.objects.filter(action="dataset.imported-again", actor=alice.email).exists()


def test_an_uploader_is_remembered_also_behind_a_token(project, alice, token):
    assert upload(project, by=alice).version.created_by == alice
    assert upload(project, by=token).version.created_by == token.created_by
    assert upload(project).version.created_by is None
