"""The official OpenAI client with nothing changed but its base URL and key."""

import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.inference.openai import shapes
from tests.journeys.product import TRAINING_SECONDS, Product, same_worker

pytestmark = [pytest.mark.slow, same_worker]
BASE = "small-language-model"
HERE = Path(__file__).parent
JAVASCRIPT_CLIENT = "openai@6.49.0"
OTHER_CLIENTS = ("litellm==1.110.2", "langchain-openai==1.7.4")
COLOURS = {"grass": "green", "snow": "white", "coal": "black", "the sky": "blue"}


@pytest.fixture(scope="module")
def secret(product: Product) -> str:
    return product.manage("create_api_token", "--email", "sdk@acme.example", "--team", "Story")


@pytest.fixture(scope="module")
def client(product: Product, secret: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{product.url}/v1", api_key=secret)


def chats(count: int) -> bytes:
    things = list(COLOURS)
    lines = []
    for number in range(count):
        thing = things[number % len(things)]
        messages = [
            {"role": "user", "content": f"What colour is {thing} number {number}?"},
            {"role": "assistant", "content": f"It is {COLOURS[thing]}."},
        ]
        lines.append(json.dumps({"messages": messages}) + "\n")
    return "".join(lines).encode()


def wait_for(look: Callable[[], Any], statuses: set[str]) -> Any:
    deadline = time.monotonic() + TRAINING_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found.status in statuses:
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited {TRAINING_SECONDS} s in vain: {found}")


@pytest.fixture(scope="module")
def fine_tune(client: openai.OpenAI) -> Any:
    """Upload, job, poll: the finished job."""
    file = client.files.create(file=("chats.jsonl", io.BytesIO(chats(60))), purpose="fine-tune")
    shapes.require_shape(file.to_dict(), shapes.FILE)
    job = client.fine_tuning.jobs.create(
        model=BASE,
        training_file=file.id,
        suffix="colours",
        seed=1,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        metadata={"purpose": "story"},
    )
    shapes.require_shape(job.to_dict(), shapes.JOB)
    ended = {"succeeded", "failed", "cancelled"}
    done = wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id), ended)
    shapes.require_shape(done.to_dict(), shapes.JOB)
    assert done.status == "succeeded", done.error
    return done


def test_a_job_tells_of_itself(client: openai.OpenAI, fine_tune: Any) -> None:
    events = list(client.fine_tuning.jobs.list_events(fine_tune.id, limit=50))
    for event in events:
        shapes.require_shape(event.to_dict(), shapes.EVENT)
    assert {event.type for event in events} == {"message", "metrics"}
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(fine_tune.id))
    assert checkpoints
    for checkpoint in checkpoints:
        shapes.require_shape(checkpoint.to_dict(), shapes.CHECKPOINT)
    (results,) = fine_tune.result_files
    lines = client.files.content(results).text.splitlines()
    assert lines[0] == "step,train_loss,valid_loss"
    assert len(lines) > 2
    assert fine_tune.id in [job.id for job in client.fine_tuning.jobs.list(limit=5)]
    name = checkpoints[0].fine_tuned_model_checkpoint
    answer = client.chat.completions.create(
        model=name, messages=[{"role": "user", "content": "Hi"}], max_tokens=4
    )
    written, reason = answer.usage.completion_tokens, answer.choices[0].finish_reason
    assert answer.model == name
    assert written <= 4
    assert reason in ("length", "stop")


def test_its_model_answers_at_once_whole_and_as_a_stream(
    client: openai.OpenAI, fine_tune: Any
) -> None:
    facts: dict[str, Any] = {
        "model": fine_tune.fine_tuned_model,
        "messages": [{"role": "user", "content": "What colour is snow number 3?"}],
        "max_completion_tokens": 12,
        "temperature": 0,
    }
    whole = client.chat.completions.create(**facts, logprobs=True, top_logprobs=2)
    shapes.require_shape(whole.to_dict(), shapes.CHAT)
    options = {"include_usage": True}
    parts = list(client.chat.completions.create(**facts, stream=True, stream_options=options))
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == whole.choices[0].message.content
    assert parts[-1].usage == whole.usage
    older = client.completions.create(
        model=fine_tune.fine_tuned_model, prompt="What colour is coal number 9?", max_tokens=5
    )
    shapes.require_shape(older.to_dict(), shapes.COMPLETION)


def test_texts_are_embedded(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=["snow", "ice", "tax"])
    snow, ice, tax = (row.embedding for row in answer.data)
    closeness = [sum(a * b for a, b in zip(snow, other, strict=True)) for other in (ice, tax)]
    assert closeness[0] > closeness[1]
    raw = client.embeddings.create(model="all-MiniLM-L6-v2", input="snow", encoding_format="float")
    shapes.require_shape(raw.to_dict(), shapes.EMBEDDINGS)


def test_a_batch_is_answered_in_the_background(client: openai.OpenAI, fine_tune: Any) -> None:
    def line(number: int, **body: Any) -> str:
        messages = [{"role": "user", "content": f"What colour is grass number {number}?"}]
        whole = {"model": fine_tune.fine_tuned_model, "messages": messages, "max_tokens": 6} | body
        return json.dumps(
            {"custom_id": f"q{number}", "method": "POST", "url": "/v1/chat/completions",
             "body": whole}
        )  # fmt: skip

    content = "\n".join([*(line(number) for number in range(5)), line(5, model="nobody")])
    file = client.files.create(file=("b.jsonl", io.BytesIO(content.encode())), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    ended = {"completed", "failed", "expired", "cancelled"}
    done = wait_for(lambda: client.batches.retrieve(batch.id), ended)
    assert done.status == "completed", done.errors
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (6, 5, 1)
    rows = [json.loads(row) for row in client.files.content(done.output_file_id).text.splitlines()]
    assert [row["custom_id"] for row in rows] == [f"q{number}" for number in range(5)]
    for row in rows:
        shapes.require_shape(row["response"]["body"], shapes.CHAT)
    (refused,) = client.files.content(done.error_file_id).text.splitlines()
    assert json.loads(refused)["response"]["status_code"] == 404
    assert batch.id in [one.id for one in client.batches.list(limit=5)]


def test_each_error_is_its_class(
    client: openai.OpenAI, product: Product, fine_tune: Any, secret: str
) -> None:
    hello: Any = [{"role": "user", "content": "Hi"}]
    once = client.with_options(max_retries=0)
    stranger = openai.OpenAI(base_url=f"{product.url}/v1", api_key="lathe_nobody", max_retries=0)
    for ask in (stranger.models.list, stranger.files.list, stranger.batches.list):
        with pytest.raises(openai.AuthenticationError) as unknown:
            ask()
        assert unknown.value.code
    reader = openai.OpenAI(
        base_url=f"{product.url}/v1",
        api_key=product.manage(
            "create_api_token", "--email", "sdk@acme.example", "--team", "Story",
            "--scopes", "read",
        ),
        max_retries=0,
    )  # fmt: skip
    with pytest.raises(openai.PermissionDeniedError):
        reader.chat.completions.create(model=fine_tune.fine_tuned_model, messages=hello)
    with pytest.raises(openai.PermissionDeniedError):
        reader.files.create(file=("x.jsonl", b"{}\n"), purpose="batch")
    with pytest.raises(openai.NotFoundError):
        once.chat.completions.create(model="nobody", messages=hello)
    with pytest.raises(openai.NotFoundError):
        once.files.retrieve("file-nobody")
    with pytest.raises(openai.BadRequestError) as bad:
        once.chat.completions.create(
            model=fine_tune.fine_tuned_model, messages=hello, temperature=3
        )
    assert bad.value.param == "temperature"
    with pytest.raises(openai.ConflictError):
        once.fine_tuning.jobs.cancel(fine_tune.id)
    with pytest.raises(openai.BadRequestError):  # A classifier's endpoint for a language model.
        once.embeddings.create(model=fine_tune.fine_tuned_model, input="Hi")


@pytest.mark.nightly
def test_the_javascript_client_runs_the_same_story(
    product: Product, secret: str, tmp_path: Path
) -> None:
    """Upload to deletion in one script, with a fine-tune of its own."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    shutil.copy(HERE / "story.mjs", tmp_path)
    subprocess.run([npm, "install", "--no-audit", JAVASCRIPT_CLIENT], cwd=tmp_path, check=True)
    command = [node, "story.mjs", f"{product.url}/v1", secret, BASE]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert told.stdout.endswith("all well\n"), told.stdout + told.stderr


@pytest.mark.nightly
def test_litellm_and_langchain_ask_chats_and_embeddings(
    product: Product, secret: str, fine_tune: Any, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *OTHER_CLIENTS], check=True)
    command = [python, HERE / "other_clients.py", f"{product.url}/v1", secret]
    told = subprocess.run(
        [*command, fine_tune.fine_tuned_model], capture_output=True, text=True, timeout=300
    )
    assert told.stdout.endswith("all well\n"), told.stdout + told.stderr


def test_the_model_is_listed_and_deleted(client: openai.OpenAI, fine_tune: Any) -> None:
    name = fine_tune.fine_tuned_model
    client.chat.completions.create(
        model=name, messages=[{"role": "user", "content": "Hi"}], max_tokens=1
    )
    shapes.require_shape(client.models.retrieve(name).to_dict(), shapes.MODEL)
    assert name in [model.id for model in client.models.list()]
    shapes.require_shape(client.models.delete(name).to_dict(), shapes.DELETED)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(name)
    with pytest.raises(openai.NotFoundError):  # It does not come back by being asked.
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
