"""The same journey by API alone, and what happens when processes are killed under way."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.journeys.product import Product, same_worker, wait_for_status

pytestmark = [pytest.mark.slow, same_worker]


@pytest.fixture(scope="module")
def client(product: Product) -> httpx.Client:
    token = product.manage("create_api_token", "--email", "api@acme.example", "--team", "Wire")
    assert token.startswith("lathe_")
    return product.api(token)


@pytest.fixture(scope="module")
def dataset(client: httpx.Client, tickets: Path) -> str:
    project = client.post("/api/v1/projects", json={"name": "Tickets"}).json()["id"]
    with tickets.open("rb") as file:
        answer = client.post(
            "/api/v1/datasets",
            files={"file": ("tickets.csv", file)},
            data={"project": project, "name": "Tickets"},
        )
    assert answer.status_code == 202, answer.text
    ready = wait_for(client, f"/api/v1/datasets/{answer.json()['id']}", {"ready", "failed"})
    assert (ready["status"], ready["rows"]) == ("ready", 300)
    return ready["id"]


def wait_for(
    client: httpx.Client, path: str, statuses: set[str], seconds: float = 240
) -> dict[str, object]:
    return wait_until(lambda: _settled(client, path, statuses), seconds)


def _settled(client: httpx.Client, path: str, statuses: set[str]) -> dict[str, object] | None:
    body = client.get(path).json()
    return body if body.get("status") in statuses else None


def wait_until(look: Callable[[], dict[str, object] | None], seconds: float) -> dict[str, object]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds} s in vain")


def launched(client: httpx.Client, dataset: str, **more: object) -> dict[str, object]:
    project = client.get(f"/api/v1/datasets/{dataset}").json()["project"]
    body = {"project": project, "dataset": dataset, "task": "text-classification"} | more
    estimate = client.post("/api/v1/training-jobs/estimate", json=body).json()
    assert estimate["fits"], estimate
    assert estimate["allowed"], estimate
    answer = client.post("/api/v1/training-jobs", json=body)
    assert answer.status_code in {201, 202}, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def deployed(client: httpx.Client, dataset: str, product: Product) -> dict[str, object]:
    """The job whose model answers as `queue`."""
    job = launched(client, dataset, hyperparameters={"method": "probe"})
    wait_for_status(product, job["id"], "succeeded")
    done = client.get(f"/api/v1/training-jobs/{job['id']}").json()
    made = client.post("/api/v1/deployments", json={"model": done["model"], "name": "queue"})
    assert made.status_code == 201, made.text
    return done


def test_data_becomes_a_model_that_answers_and_a_bill(
    client: httpx.Client, deployed: dict[str, object]
) -> None:
    assert deployed["cost_micros"] > 0
    report = client.get(f"/api/v1/models/{deployed['model']}/evaluation").json()
    assert "verdict" in str(report)
    answer = client.post("/v1/classify", json={"model": "queue", "input": ["refund please"] * 3})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 3
    usage = client.get("/api/v1/usage").json()
    assert usage


@pytest.mark.usefixtures("deployed")
def test_a_killed_models_process_comes_back_and_answers(
    client: httpx.Client, product: Product
) -> None:
    before = client.post("/v1/classify", json={"model": "queue", "input": "my invoice is wrong"})
    assert before.status_code == 200, before.text
    os.kill(process_of(product, "serve_models"), signal.SIGKILL)
    while_away = client.post("/v1/classify", json={"model": "queue", "input": "where is it"})
    assert while_away.status_code in {200, 502, 503}
    assert while_away.status_code == 200 or while_away.json()["error"]["message"]

    def answers() -> dict[str, object] | None:
        got = client.post("/v1/classify", json={"model": "queue", "input": "my invoice is wrong"})
        return got.json() if got.status_code == 200 else None

    after = wait_until(answers, 60)
    assert after["data"][0]["probs"] == pytest.approx(before.json()["data"][0]["probs"])


@pytest.mark.nightly
def test_a_job_outlives_a_killed_trainer(
    client: httpx.Client, dataset: str, product: Product
) -> None:
    job = launched(client, dataset, hyperparameters={"epochs": 4, "early_stopping_patience": 0})
    path = f"/api/v1/training-jobs/{job['id']}"

    def has_begun() -> dict[str, object] | None:
        body = client.get(path).json()
        return body if body["phase"] == "training" and body["progress"] > 0 else None

    wait_for_status(product, job["id"], "running")
    wait_until(has_begun, 300)
    for pid in trainer_processes(product):
        os.kill(pid, signal.SIGKILL)
    wait_for_status(product, job["id"], "succeeded")
    events = client.get(f"{path}/events").json()["data"]
    assert any("fell silent" in event["message"] for event in events)


def test_a_cancelled_job_says_what_was_billed(
    client: httpx.Client, dataset: str, product: Product
) -> None:
    job = launched(client, dataset)
    path = f"/api/v1/training-jobs/{job['id']}"
    wait_for_status(product, job["id"], "running")
    time.sleep(4)
    cancelled = client.post(f"{path}/cancel")
    assert cancelled.status_code == 200, cancelled.text
    body = client.get(path).json()
    assert body["status"] == "cancelled"
    time.sleep(3)
    assert client.get(path).json()["cost_micros"] == body["cost_micros"]
    assert client.post(f"{path}/cancel").status_code == 409


def process_of(product: Product, word: str) -> int:
    """The newest process below `make up` with this word on its command line."""
    found = [
        one for one in psutil.Process(product.process.pid).children(recursive=True)
        if word in " ".join(one.cmdline())
    ]  # fmt: skip
    return max(found, key=lambda one: one.create_time()).pid


def trainer_processes(product: Product) -> list[int]:
    """The trainer and its pool child, not the engine: it must die with them by itself."""
    return [
        one.pid
        for one in psutil.Process(product.process.pid).children(recursive=True)
        if "compute.cpu" in " ".join(one.cmdline())
    ]
