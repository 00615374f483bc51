"""Files and uploads through the official client."""

import json
from datetime import timedelta

import openai
import pytest
from django.utils.timezone import now

from inference.files import storing
from inference.models import ApiFile
from projects import purge, storage
from projects.models import Dataset, DatasetVersion
from tests.inference.openai import shapes
from tests.inference.openai.conftest import chat_rows, jsonl

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_child")]


def test_a_training_file_is_a_dataset_too(client, training_file, import_file):
    shapes.require_shape(training_file.to_dict(), shapes.FILE)
    assert training_file.status == "uploaded"
    import_file(training_file.id)
    assert client.files.wait_for_processing(training_file.id).status == "processed"
    version = DatasetVersion.objects.get(pk=training_file.id.removeprefix("file-"))
    assert (version.rows, version.dataset.name) == (12, "chats.jsonl")
    content = client.files.content(training_file.id).read()
    assert [json.loads(line) for line in content.splitlines()] == chat_rows()


@pytest.mark.parametrize(
    ("bad_line", "said"),
    [
        (b"{no json", "Line 2 is not valid JSON"),
        (b"[1, 2]", "Line 2 is not a JSON object"),
        (b'{"a": "\xff"}', "Line 2 is not UTF-8 text"),
    ],
)
def test_a_line_that_is_no_object_is_named(client, bad_line, said):
    with pytest.raises(openai.BadRequestError, match=said) as refused:
        client.files.create(
            file=("x.jsonl", b'{"messages": []}\n' + bad_line + b"\n"), purpose="fine-tune"
        )
    assert refused.value.param == "file"
    assert not ApiFile.objects.exists()
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("purpose", ["assistants", "vision", "user_data", "evals", "nonsense"])
def test_a_purpose_that_is_not_served_is_refused_by_name(client, purpose):
    with pytest.raises(openai.BadRequestError, match=purpose):
        client.files.create(file=jsonl(chat_rows()), purpose=purpose)


def test_only_json_lines_are_taken(client):
    with pytest.raises(openai.BadRequestError, match=r"\.jsonl"):
        client.files.create(file=jsonl(chat_rows(), "chats.json"), purpose="fine-tune")


def test_files_are_listed_page_by_page_and_by_purpose(client, stranger):
    made = [
        client.files.create(file=jsonl([{"n": number}], f"{number}.jsonl"), purpose="batch").id
        for number in range(3)
    ]
    other = client.files.create(file=jsonl(chat_rows()), purpose="fine-tune").id
    page = client.files.list(limit=2)
    shapes.require_shape(page.to_dict(), shapes.page_of(shapes.FILE))
    assert [one.id for one in page.data] == [other, made[2]]
    assert [one.id for one in client.files.list(limit=1)] == [other, *reversed(made)]
    assert [one.id for one in client.files.list(order="asc", purpose="batch")] == made
    assert client.files.list().to_dict()["first_id"] == other
    assert list(stranger.files.list()) == []
    with pytest.raises(openai.BadRequestError):
        client.files.list(after="file-unknown")


def test_a_deleted_file_is_gone_and_its_dataset_hidden(client, training_file):
    shapes.require_shape(client.files.delete(training_file.id).to_dict(), shapes.DELETED)
    for ask in (client.files.retrieve, client.files.delete, client.files.content):
        with pytest.raises(openai.NotFoundError, match="No such File"):
            ask(training_file.id)
    assert not Dataset.objects.filter(archived_at=None).exists()


def test_a_file_that_was_purged_with_its_dataset_is_gone(client, training_file):
    for_batch = client.files.create(file=jsonl([{"n": 1}], "kept.jsonl"), purpose="batch")
    Dataset.objects.update(archived_at=now() - timedelta(days=31))
    assert purge.purge_datasets() == 1
    for ask in (client.files.content, client.files.retrieve, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object") as refused:
            ask(training_file.id)
        assert refused.value.param == "id"
    assert [file.id for file in client.files.list()] == [for_batch.id]
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.create(model="small-language-model", training_file=training_file.id)


@pytest.mark.parametrize("purpose", ["batch", "fine-tune"])
def test_a_file_whose_bytes_are_lost_is_404_in_the_error_shape(client, purpose):
    file = client.files.create(file=jsonl(chat_rows()), purpose=purpose)
    storage.delete(ApiFile.objects.get().storage_key)
    with pytest.raises(openai.NotFoundError, match="is gone") as refused:
        client.files.content(file.id)
    assert set(refused.value.body) == {"message", "type", "param", "code"}


def test_a_stranger_reaches_no_file(stranger, training_file):
    for ask in (stranger.files.retrieve, stranger.files.delete, stranger.files.content):
        with pytest.raises(openai.NotFoundError):
            ask(training_file.id)


def test_a_file_expires(client, django_db_blocker):
    made = client.files.create(
        file=jsonl([{"n": 1}], "b.jsonl"),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert made.expires_at == made.created_at + 3600
    row = ApiFile.objects.get()
    ApiFile.objects.update(expires_at=row.created_at)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    storing.delete_expired()
    assert ApiFile.objects.get().deleted_at is not None


def test_a_lifetime_that_is_none_is_named_whole(client):
    for expiry, param in (
        ({"anchor": "now", "seconds": 3600}, "expires_after.anchor"),
        ({"anchor": "created_at", "seconds": 60}, "expires_after.seconds"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.files.create(
                file=jsonl([{"n": 1}], "b.jsonl"), purpose="batch", expires_after=expiry
            )
        assert refused.value.param == param


def test_a_large_file_comes_in_parts(client):
    content = "".join(json.dumps(row) + "\n" for row in chat_rows()).encode()
    upload = client.uploads.create(
        bytes=len(content), filename="big.jsonl", mime_type="text/jsonl", purpose="fine-tune"
    )
    shapes.require_shape(upload.to_dict(), shapes.UPLOAD)
    halves = [content[:100], content[100:]]
    parts = [client.uploads.parts.create(upload.id, data=half) for half in reversed(halves)]
    shapes.require_shape(parts[0].to_dict(), shapes.PART)
    done = client.uploads.complete(upload.id, part_ids=[part.id for part in reversed(parts)])
    shapes.require_shape(done.to_dict(), shapes.UPLOAD)
    assert client.files.content(done.file.id).read() == content
    with pytest.raises(openai.ConflictError) as refused:
        client.uploads.cancel(upload.id)
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_parts_that_do_not_add_up_are_refused(client):
    upload = client.uploads.create(
        bytes=10, filename="a.jsonl", mime_type="text/jsonl", purpose="batch"
    )
    part = client.uploads.parts.create(upload.id, data=b"{}\n")
    with pytest.raises(openai.BadRequestError, match="3 bytes"):
        client.uploads.complete(upload.id, part_ids=[part.id])
    assert client.uploads.cancel(upload.id).status == "cancelled"
