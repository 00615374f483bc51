"""Every log line names its request, and in trainers its job."""

import asyncio
import logging
import threading

import pytest
from django.conf import settings
from django.test import Client

from inference.serving.application import ModelsApp
from web.log_context import LOG_FORMAT, LogContextFilter, job_id, log_context, request_id


@pytest.fixture(autouse=True)
def no_request_of_another_test():
    request_id.set("")
    job_id.set("")


def line(message: str = "Something.") -> str:
    record = logging.LogRecord("training.x", logging.INFO, __file__, 1, message, None, None)
    assert LogContextFilter().filter(record)
    return logging.Formatter(LOG_FORMAT).format(record)


def test_a_line_outside_of_any_request_has_no_context():
    assert line().endswith(" INFO training.x Something.")


def test_a_line_names_its_request_and_job():
    with log_context(request="req_1", job="j-2"):
        assert line().endswith(" INFO training.x request=req_1 job=j-2 Something.")
    assert "request=" not in line()


def test_an_inner_block_adds_to_the_outer_one():
    with log_context(request="task_7"):
        with log_context(job="j-2"):
            assert " request=task_7 job=j-2 " in line()
        assert " request=task_7 Something." in line()


def test_a_block_that_fails_is_left_too():
    with pytest.raises(ValueError, match="broken"), log_context(job="j-2"):
        raise ValueError("broken")
    assert job_id.get() == ""


def test_a_thread_sets_its_own_and_changes_nobody_elses():
    lines = []

    def work() -> None:
        job_id.set("j-9")
        lines.append(line())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert " job=j-9 " in lines[0]
    assert job_id.get() == ""


def test_the_handler_of_all_processes_has_the_filter():
    handler = settings.LOGGING["handlers"]["console"]
    assert settings.LOGGING["root"]["handlers"] == ["console"]
    assert handler["filters"] == ["context"]
    assert settings.LOGGING["formatters"][handler["formatter"]]["format"] == LOG_FORMAT


@pytest.mark.django_db
def test_what_a_request_logs_carries_the_id_that_its_answer_carries(caplog):
    context = LogContextFilter()
    caplog.set_level("INFO", "web.access")
    caplog.handler.addFilter(context)
    try:
        answer = Client().get("/no/such/page/", headers={"x-request-id": "caller-chose-1"})
    finally:
        caplog.handler.removeFilter(context)
    assert answer.headers["X-Request-Id"] == "caller-chose-1"
    [record] = [record for record in caplog.records if record.name == "web.access"]
    assert record.context == " request=caller-chose-1"


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["", "short", "has spaces in it", "x" * 65, "line\nbreak-------"])
def test_a_malformed_id_is_replaced(sent, client):
    answer = client.get("/healthz", headers={"x-request-id": sent})
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert len(answer.headers["X-Request-Id"]) == 28
    assert request_id.get() == answer.headers["X-Request-Id"]


def test_what_the_models_process_logs_carries_the_id_of_its_answer(caplog):
    async def broken(*_: object) -> None:
        raise RuntimeError("broken")

    async def ask() -> list[dict]:
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        app = ModelsApp()
        app._router = broken
        scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": []}
        await app(scope, broken, send)
        return sent

    context = LogContextFilter()
    caplog.handler.addFilter(context)
    try:
        start, _ = asyncio.run(ask())
    finally:
        caplog.handler.removeFilter(context)
    answered = dict(start["headers"])[b"x-request-id"].decode()
    assert answered.startswith("classify-")
    [record] = [record for record in caplog.records if record.name.startswith("inference.")]
    assert record.context == f" request={answered}"
