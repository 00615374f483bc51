"""Waiting for trainings beside others on few processors: for as long as they go on, no longer.

A deadline of a quiet machine fails where other tests train, too. So the job itself is looked at:
one that ended otherwise fails its test at once, and the failure tells what its log says.
"""

import json
import re
import time
from typing import Any

import pytest

from tests.journeys.product import Product

SECONDS = 12 * 60
PAGE_SECONDS = 60  # In which a page that is open shows how its job ended.
ENDED = {"succeeded", "failed", "cancelled", "paused"}  # Nothing more comes by itself.


def wait_for_status(product: Product, job: str, *statuses: str) -> dict[str, Any]:
    """What the job tells once it is in one of these. Fails the test where it ends in another, or
    goes on for SECONDS."""
    deadline = time.monotonic() + SECONDS
    while (told := product.change("tell_of_job", job))["status"] not in statuses:
        _require_going_on(told, statuses, deadline)
        time.sleep(1)
    return told


def wait_on_page(product: Product, job: str, sign: Any) -> None:
    """Until an open page shows `sign`, a Playwright locator: it may take SECONDS while the job goes
    on, and PAGE_SECONDS once it has ended."""
    from playwright.sync_api import TimeoutError as NotYet

    deadline = time.monotonic() + SECONDS
    ended_at = None
    while True:
        try:
            sign.wait_for(timeout=3_000)
            return
        except NotYet:
            told = product.change("tell_of_job", job)
        if told["status"] == "succeeded":
            ended_at = ended_at or time.monotonic()
            if time.monotonic() > ended_at + PAGE_SECONDS:
                pytest.fail(f"The page does not show {sign}.\n{_in_lines(told)}")
        else:
            _require_going_on(told, ("succeeded",), deadline)


def job_of(url: str) -> str:
    """The id in the address of a job's page."""
    found = re.search(r"/jobs/([0-9a-f-]{36})/", url)
    assert found, url
    return found[1]


def _require_going_on(told: dict[str, Any], wanted: tuple[str, ...], deadline: float) -> None:
    if told["status"] in ENDED:
        pytest.fail(f"The job should be {' or '.join(wanted)}.\n{_in_lines(told)}")
    if time.monotonic() > deadline:
        pytest.fail(f"Not {' or '.join(wanted)} after {SECONDS} s.\n{_in_lines(told)}")


def _in_lines(told: dict[str, Any]) -> str:
    log, events = told.pop("log"), told.pop("events")
    return "\n".join([json.dumps(told, indent=2), "Events:", *events, "End of the log:", log])
