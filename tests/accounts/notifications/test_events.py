"""The events that apps register: once, in a fixed order, with OpenAI's names where it has them."""

import ast

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.api.notifications import EndpointRequest
from accounts.models import EventGroup
from accounts.notifications import events
from accounts.notifications.events import EventType, register_events
from tests.architecture.imports import module_name, same_worker, source_files, syntax_nodes


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr(events, "_types", {})
    monkeypatch.setattr(events, "_positions", {})


def test_every_app_registers_its_events_when_django_starts():
    subjects = [event_type.name.split(".")[0] for event_type in events.event_types()]
    assert list(dict.fromkeys(subjects)) == [
        *("training_job", "dataset", "deployment", "budget", "credit", "payment"),
        *("assistant", "conversation", "answer", "member", "token", "team", "webhook"),
    ]
    assert len(subjects) == 35


@same_worker
def test_every_event_that_the_code_publishes_is_registered():
    published = {
        (module_name(path), node.args[1].value)
        for path in source_files()
        for node in syntax_nodes(path)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in {"publish", "publish_to_programs"}
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    }
    names = {event_type.name for event_type in events.event_types()}
    assert ("accounts.tokens", "token.created") in published
    assert {pair for pair in published if pair[1] not in names} == set()


def test_the_api_accepts_what_the_form_offers():
    choices = [name for name, _ in events.webhook_event_choices()]
    assert list(EndpointRequest().fields["events"].child.choices) == choices
    assert choices[-3:] == [
        f"fine_tuning.job.{end}" for end in ("succeeded", "failed", "cancelled")
    ]


def test_a_new_endpoint_starts_with_how_fine_tunes_end():
    assert events.initial_webhook_events() == [
        "training_job.succeeded",
        "training_job.failed",
        "training_job.cancelled",
    ]


def test_an_unregistered_event_is_shown_but_not_mailed(empty_registry):
    assert events.group_of("nobody.knows") == EventGroup.PROGRESS
    assert events.openai_name_of("nobody.knows") == ""


def test_apps_are_listed_by_position_and_each_in_its_own_order(empty_registry):
    names = ("b.two", "b.one")
    register_events(*(EventType(n, EventGroup.RESULTS, n) for n in names), position=20)
    register_events(EventType("a.x", EventGroup.BUDGET, "x", openai_name="oa.x"), position=10)
    assert events.webhook_event_choices() == [
        ("a.x", "x"),
        ("b.two", "b.two"),
        ("b.one", "b.one"),
        ("oa.x", "x, in OpenAI's form"),
    ]


def test_registering_twice_changes_nothing_but_two_meanings_are_refused(empty_registry):
    event_type = EventType("a.x", EventGroup.BUDGET, "x")
    register_events(event_type, position=10)
    register_events(event_type, position=10)
    assert events.event_types() == [event_type]
    with pytest.raises(ImproperlyConfigured, match=r"a\.x"):
        register_events(EventType("a.x", EventGroup.PAYMENT, "x"), position=20)
