"""The demo's datasets: one for each task, the same every time, with the columns that are named."""

import base64
import csv
import io
import json
import zipfile

from inference import demo
from inference.demo_filling import filling as demo_filling
from inference.demo_filling.examples import all_examples
from inference.models import Deployment
from projects.models import Dataset, Project
from training.models import TrainingJob

SIX = {
    "text-classification", "text-regression", "tabular-classification", "tabular-regression",
    "image-classification", "text-generation",
}  # fmt: skip


def test_every_task_has_an_example_that_never_changes():
    first, again = all_examples(), all_examples()
    assert {example.task for example in first} | {"text-classification"} == SIX
    assert [example.content for example in first] == [example.content for example in again]
    names = [example.deployment for example in first]
    assert len({*names, demo.DEPLOYMENT}) == len(names) + 1


def test_examples_hold_the_columns_that_their_jobs_learn_from():
    for example in all_examples():
        if example.filename.endswith(".csv"):
            header, *rows = csv.reader(io.StringIO(example.content.decode()))
            named = [
                name
                for value in example.columns.values()
                for name in ([value] if isinstance(value, str) else value)
            ]
            assert set(named) <= set(header)
            assert len(rows) >= 500
            assert len(example.questions) == 40
        elif example.filename.endswith(".zip"):
            names = zipfile.ZipFile(io.BytesIO(example.content)).namelist()
            assert {name.partition("/")[0] for name in names} == {"circle", "square", "triangle"}
            trained_on = {zipfile.ZipFile(io.BytesIO(example.content)).read(name) for name in names}
            asked_about = {base64.b64decode(question) for question in example.questions}
            assert len(asked_about) == 24
            assert not asked_about & trained_on
            assert all(picture.startswith(b"\x89PNG") for picture in asked_about)
        else:
            chats = [json.loads(line) for line in example.content.decode().splitlines()]
            assert all(chat["messages"][-1]["role"] == "assistant" for chat in chats)
            questions = [chat["messages"][0]["content"] for chat in chats]
            answers = {chat["messages"][-1]["content"] for chat in chats}
            assert len({*questions}) == len(questions) >= 10 * len(answers)
            assert {*example.questions} < {*questions}


def test_a_language_model_is_asked_in_chats_and_any_other_in_rows():
    requests = list(demo_filling._requests("text-generation", ["When?", "Where?"]))
    assert [path for path, _ in requests] == ["/v1/chat/completions"] * 2
    assert requests[0][1]["messages"] == [{"role": "user", "content": "When?"}]
    assert list(demo_filling._requests("tabular-regression", [{"a": 1}, {"a": 2}, {"a": 3}])) == [
        ("/v1/classify", {"input": [{"a": 1}, {"a": 2}]}),
        ("/v1/classify", {"input": [{"a": 3}]}),
    ]
    pictures = list(demo_filling._requests("image-classification", ["aGk=", "aG8="]))
    assert [body for _, body in pictures] == [{"input": ["aGk="]}, {"input": ["aG8="]}]


def test_filling_waits_for_the_first_model_uploads_once_and_launches_what_is_ready(
    deployment, dataset_version, alice, monkeypatch, settings, tmp_path
):
    """With the import's outcome put in place; `make up` shows all of it."""
    settings.VAR_DIR = tmp_path
    alice.email = demo.EMAIL
    alice.save()
    requests: list[str] = []

    def ask(serving: Deployment, questions: list[object]) -> bool:
        requests.append(serving.name)
        return True

    example = all_examples()[0]
    monkeypatch.setattr(demo_filling, "all_examples", lambda: [example])
    monkeypatch.setattr(demo_filling, "_ask", ask)
    monkeypatch.setattr(demo_filling, "PATIENCE_SECONDS", 0.3)
    demo_filling.fill(wait=lambda seconds: None)
    assert requests == []  # Nothing answers as the tickets' model does.
    assert not Project.objects.filter(name=example.project).exists()
    Deployment.objects.update(name=demo.DEPLOYMENT)
    demo_filling.fill(wait=lambda seconds: None)
    assert requests == [demo.DEPLOYMENT]
    (uploaded,) = Dataset.objects.filter(project__name=example.project)
    assert uploaded.versions.count() == 1
    assert not TrainingJob.objects.filter(project=uploaded.project).exists()
    assert (tmp_path / demo_filling.FILLED_FILE).exists()
