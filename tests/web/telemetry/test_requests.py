"""Requests are counted by route, and each leaves one line with its id."""

import json
import logging
import sys

import pytest

from config.logs import LOGGING
from web.log_context import log_context
from web.telemetry.json_logs import JsonFormatter
from web.telemetry.registry import REGISTRY


def count(route: str, status: int, method: str = "GET") -> float:
    labels = {"route": route, "method": method, "status": str(status)}
    return REGISTRY.get_sample_value("lathe_web_requests_total", labels) or 0.0


@pytest.mark.django_db
def test_requests_are_counted_by_the_pattern_of_their_address(client, client_of, alice, project):
    route = "projects/<uuid:project_id>/"
    before, unknown = count(route, 200), count("other", 404)
    assert client_of(alice).get(f"/projects/{project.pk}/").status_code == 200
    client.get("/nowhere/at/all")
    client.generic("BREW", "/nowhere/at/all")
    assert count(route, 200) == before + 1
    assert count("other", 404) == unknown + 1
    assert str(project.pk) not in " ".join(
        sample.labels.get("route", "") for family in REGISTRY.collect() for sample in family.samples
    )
    methods = {
        sample.labels["method"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if "method" in sample.labels
    }
    assert "BREW" not in methods


@pytest.mark.django_db
def test_each_request_leaves_a_line_with_its_id_but_probes_do_not(client, caplog):
    lines = []

    class Collecting(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(JsonFormatter().format(record)))

    handler, access = Collecting(), logging.getLogger("web.access")
    access.addHandler(handler)
    access.setLevel("INFO")
    try:
        client.get("/pricing/", headers={"x-request-id": "abc-12345"})
        client.get("/healthz")
    finally:
        access.removeHandler(handler)
        access.setLevel("NOTSET")
    (line,) = lines
    assert line["message"].startswith("GET /pricing/ 200 ")
    assert (line["request"], line["level"], line["logger"]) == ("abc-12345", "INFO", "web.access")


def test_a_json_line_is_one_line_and_names_job_and_exception():
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "a\nb %s", ("ä",), sys.exc_info())
    with log_context(job="j-1"):
        text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["message"], line["job"]) == ("a\nb ä", "j-1")
    assert "ValueError: first" in line["exception"]
    assert "json" in LOGGING["formatters"]
