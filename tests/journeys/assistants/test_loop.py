"""The loop as one chain, in a running product: what people correct becomes rows, a job's model, a
measured version, and an answer to the question that was refused."""

import csv
import io
import time
from typing import Any

import httpx
import pytest

from assistants.demo_data import COLUMNS, generate_faq
from tests.journeys.product import Product, same_worker

pytestmark = [pytest.mark.slow, pytest.mark.nightly, same_worker]
ROWS = generate_faq(14, seed=11)
PER_TOPIC = 4  # Phrasings that are taught; the others are what customers ask.
SECONDS = 600


@pytest.fixture(scope="module")
def client(product: Product) -> httpx.Client:
    token = product.manage("create_api_token", "--email", "loop@acme.example", "--team", "Loop")
    return product.api(token)


def taught_and_asked() -> tuple[list[Any], list[Any]]:
    seen: dict[str, int] = {}
    taught, asked = [], []
    for row in ROWS:
        seen[row.topic] = seen.get(row.topic, 0) + 1
        (taught if seen[row.topic] <= PER_TOPIC else asked).append(row)
    return taught, asked


def sent(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def wait_for(client: httpx.Client, path: str, statuses: set[str]) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = sent(client.get(path))
        if found["status"] in statuses:
            return found
        time.sleep(2)
    raise AssertionError(f"waited {SECONDS} s in vain: {found}")


def teach(client: httpx.Client, rows: list[Any]) -> str:
    """An assistant whose dataset was uploaded as a customer would; its address."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(COLUMNS)
    writer.writerows((row.question, row.topic, row.answer) for row in rows)
    project = sent(client.post("/api/v1/projects", json={"name": "Shop"}))["id"]
    upload = {"file": ("faq.csv", sink.getvalue().encode(), "text/csv")}
    dataset = sent(client.post("/api/v1/datasets", data={"project": project}, files=upload))["id"]
    wait_for(client, f"/api/v1/datasets/{dataset}", {"ready"})
    body = {"project": project, "name": "loop-help", "promise": 0.9}
    address = f"/api/v1/assistants/{sent(client.post('/api/v1/assistants', json=body))['id']}"
    mapping = {"question_column": "question", "answer_key_column": "topic",
               "answer_column": "answer"}  # fmt: skip
    sent(client.post(f"{address}/sources", json={"dataset": dataset, **mapping}))
    return address


def build_and_publish(client: httpx.Client, address: str) -> Any:
    number = sent(client.post(f"{address}/versions", json={}))["number"]
    path = f"{address}/versions/{number}"
    version = wait_for(client, path, {"measured", "failed"})
    assert version["status"] == "measured", version["error"]
    job = wait_for(client, f"/api/v1/training-jobs/{version['job']}", {"succeeded", "failed"})
    assert job["status"] == "succeeded"  # An ordinary job trained what answers.
    assert version["classifier"] is not None
    published = sent(client.post(f"{path}/publish", json={}))
    assert published["gate"] == {"passed": True, "reasons": []}
    return published


def consult(client: httpx.Client, question: str) -> Any:
    return sent(client.post("/v1/assistants/review-help/consult", json={"text": question}))


def test_a_corrected_question_is_answered_by_the_next_version(client):
    taught, asked = taught_and_asked()
    address = teach(client, taught)
    first = build_and_publish(client, address)
    replies = [(row, consult(client, row.question)) for row in asked]
    refused = [(row, reply) for row, reply in replies if reply["route"] != "answer"][:90]
    assert len(refused) >= 8, len(refused)
    for row, reply in refused:
        verdict = {"decision": reply["id"], "verdict": "should_have_answered", "answer": row.topic}
        judged = sent(client.post(f"{address}/judgements", json=verdict))
        assert (judged["used_in"], bool(judged["taught_at"])) == (None, True)

    second = build_and_publish(client, address)
    assert second["number"] == first["number"] + 1
    assert second["dataset_version"] != first["dataset_version"]
    judgements = sent(client.get(f"{address}/judgements", params={"limit": 100}))["data"]
    assert {one["used_in"] for one in judgements} == {second["dataset_version"]}
    assert len(judgements) == len(refused)
    again = [(row, consult(client, row.question)) for row, _ in refused]
    assert {reply["version"] for _, reply in again} == {second["number"]}
    answered = [(row.topic, reply["answer"]) for row, reply in again if reply["route"] == "answer"]
    assert len(answered) >= 0.9 * len(refused), (len(answered), len(refused))
    right = sum(topic == answer for topic, answer in answered)
    assert right >= 0.95 * len(answered), answered
