"""What the launch page shows of chats before they are learnt."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from training.models import TrainingJob

GOOD = [{"role": "user", "content": "Is it <b>late</b>?"}, {"role": "assistant", "content": "Yes."}]
BAD = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def chats(dataset_version):
    """The version with chats, the second without an answer, and with prompts and completions."""
    version = dataset_version
    table = pa.table(
        {
            "messages": [
                *map(json.dumps, (GOOD, BAD, GOOD * 9)),
                *(json.dumps([{"role": "user", "content": f"{n}?"}, GOOD[1]]) for n in range(20)),
            ],
            "question": ["How?", "Where?", "When?", *(f"{n}?" for n in range(20))],
            "answer": ["So.", "There.", "Then.", *["Yes."] * 20],
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    version.parquet_key = f"datasets/{version.pk}/chats.parquet"
    default_storage.save(version.parquet_key, ContentFile(sink.getvalue().to_pybytes()))
    version.columns = [
        {"name": name, "type": kind, "original_name": name}
        for name, kind in (("messages", "json"), ("question", "text"), ("answer", "text"))
    ]
    suggested = {"task": "text-generation", "text_columns": ["messages"], "target_column": None}
    version.profile = {"rows": 3, "columns": [], "suggested": suggested | {"why": "Chats."}}
    version.save()
    return version


def test_turns_that_are_learnt_are_marked_and_skipped_chats_say_why(chats, alice, client_of):
    page = client_of(alice).get(f"/datasets/{chats.dataset_id}/launch/").content.decode()
    assert '<option value="messages" selected>' in page
    assert page.count("data-learnt") == 1 + 6 + 2
    assert "Row 2. Skipped: the chat has no answer" in page
    assert "and 6 more turns" in page
    assert "Is it &lt;b&gt;late&lt;/b&gt;?" in page
    assert 'name="hyperparameters-lora_rank"' in page


def test_prompts_and_completions_are_shown_as_turns(chats, alice, client_of):
    query = {"task": "text-generation", "prompt_columns": "question", "completion_column": "answer"}
    url = f"/datasets/{chats.dataset_id}/rows/"
    page = client_of(alice).get(url, query).content.decode()
    assert page.count("data-learnt") == 5
    assert "There." in page
    page = client_of(alice).get(url, {"task": "text-generation"}).content.decode()
    assert "Choose a column of chats" in page


def test_a_chat_job_is_launched_from_the_suggestion(chats, alice, client_of):
    sent = {"version": "1", "task": "text-generation", "messages_column": "messages"}
    sent |= {"base_model": "small-language-model", "compute": "cpu"}
    client_of(alice).post(f"/datasets/{chats.dataset_id}/launch/", sent)
    job = TrainingJob.objects.get()
    assert job.recipe["messages_column"] == "messages"
    assert job.recipe["hyperparameters"]["method"] == "auto"


def test_both_forms_at_once_are_refused_before_launch(chats, alice, client_of):
    sent = {"version": "1", "task": "text-generation", "messages_column": "messages"}
    sent |= {"prompt_columns": "question", "completion_column": "answer"}
    sent |= {"base_model": "small-language-model", "compute": "cpu"}
    answer = client_of(alice).post(f"/datasets/{chats.dataset_id}/launch/", sent)
    assert answer.status_code == 400
    assert "Name either a chats column" in answer.content.decode()
