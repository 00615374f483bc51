"""What workers say of themselves: over HTTP, and of what the children of their pool did."""

import multiprocessing

import httpx
import pytest
from prometheus_client.registry import CollectorRegistry

from config.observability.process_server import serve
from config.observability.task_metrics import TaskCounts


@pytest.fixture
def address():
    server = serve("127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_worker_says_that_it_lives_and_is_ready_and_its_figures_to_whom_they_are_for(
    address, settings
):
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{address}/readyz").json()["status"] == "ready"
    assert httpx.get(f"{address}/metrics").status_code == 404
    settings.METRICS_TOKEN = "s3cret"
    for sent in ("", "Bearer wrong"):
        headers = {"authorization": sent}
        assert httpx.get(f"{address}/metrics", headers=headers).status_code == 404
    answer = httpx.get(f"{address}/metrics", headers={"authorization": "Bearer s3cret"})
    assert "process_resident_memory_bytes" in answer.text


def test_a_port_that_is_taken_stops_no_worker(address):
    assert serve("127.0.0.1", int(address.rpartition(":")[2])) is None


def test_what_a_child_of_the_pool_did_is_counted_by_its_parent():
    counts = TaskCounts(["a.work", "b.rest"])

    def child():
        counts.begin("1")
        counts.end("1", "a.work", "SUCCESS")
        counts.begin("2")
        counts.end("2", "a.work", "FAILURE")
        counts.end("3", "unknown.task", "SUCCESS")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    registry = CollectorRegistry()
    registry.register(counts)

    def value(name, **labels):
        return registry.get_sample_value(name, labels)

    assert value("lathe_tasks_total", task="a.work", state="SUCCESS") == 1
    assert value("lathe_tasks_total", task="a.work", state="FAILURE") == 1
    assert value("lathe_task_seconds_count", task="a.work") == 2
    assert value("lathe_tasks_total", task="b.rest", state="SUCCESS") is None
