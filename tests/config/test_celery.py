"""Every task that the timetable, a route or the code names exists."""

import ast
from types import SimpleNamespace

import pytest
from celery import current_app

from config import celery
from tests.architecture.imports import module_name, same_worker, source_files, syntax_nodes
from web.log_context import request_id


@pytest.fixture(scope="module")
def registered() -> set[str]:
    celery.app.loader.import_default_modules()
    return set(celery.app.tasks)


def test_every_entry_of_the_timetable_names_a_task(registered):
    entries = celery.app.conf.beat_schedule
    assert len(entries) > 20
    assert {
        name: entry["task"] for name, entry in entries.items() if entry["task"] not in registered
    } == {}


def test_every_route_names_a_task(registered):
    assert set(celery.app.conf.task_routes) <= registered


@same_worker
def test_every_name_that_the_code_enqueues_is_a_task(registered):
    enqueued = {
        (module_name(path), node.args[0].value)
        for path in source_files()
        for node in syntax_nodes(path)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", ""))
        in {"enqueue", "enqueue_on_commit"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert ("accounts.notifications.publish", "accounts.tasks.fan_out") in enqueued
    assert {pair for pair in enqueued if pair[1] not in registered} == set()


def test_every_periodic_message_expires_before_many_pile_up():
    """A worker that was away finds no hour of ticks; hourly and nightly ones may wait."""
    for name, entry in celery.app.conf.beat_schedule.items():
        if isinstance(entry["schedule"], float) and entry["schedule"] < 300:
            assert entry["options"]["expires"] <= 2 * max(entry["schedule"], 15), name


def test_a_message_carries_the_id_of_its_request_and_a_task_takes_it_over():
    headers: dict[str, object] = {}
    request_id.set("req_abc")
    celery.send_request_id(headers=headers)
    request_id.set("")
    celery.set_request_id(task_id="1", task=SimpleNamespace(request=SimpleNamespace(**headers)))
    assert request_id.get() == "req_abc"
    celery.clear_request_id()
    celery.set_request_id(task_id="1", task=SimpleNamespace(request=SimpleNamespace(request_id="")))
    assert request_id.get() == "task_1"
    celery.clear_request_id()
    assert request_id.get() == ""


def test_our_application_is_the_current_one():
    assert current_app.conf.beat_schedule == celery.app.conf.beat_schedule
