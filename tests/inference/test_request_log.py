import json

import pytest
from django.db import connection

from inference.models import RequestLog
from inference.queries.traffic import usage_today
from inference.serving import usage_counter


def entry(deployment, request_id, **facts):
    facts = {"rows": 1, "tokens": 1, "latency_ms": 1.0, "status": 200} | facts
    return RequestLog.objects.create(request_id=request_id, deployment=deployment, **facts)


def test_the_day_shows_times_of_answered_requests_only(deployment):
    entry(deployment, "a", latency_ms=10)
    entry(deployment, "b", latency_ms=20)
    entry(deployment, "c", latency_ms=9999, status=503)
    day = usage_today(deployment)
    assert day.p50_ms == 15
    assert day.p99_ms < 21
    assert (day.requests, day.tokens) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"text": "a 😀 \\ b"}, {"text": "a 😀 \\ b"}),
        ({"text": "a", "unused": float("nan")}, None),
        ({"text": "a", "unused": [float("-inf")]}, None),
        ({"text": "a", "unused": "\ud800"}, None),
        ({"\udfff": "a"}, None),
        ({"text": "a\0b"}, None),
        ({"text": "a" * 9000}, None),
    ],
)
def test_a_row_that_the_database_cannot_hold_takes_no_other_entry_along(db, asked, kept):
    assert usage_counter._kept_whole(asked) == kept
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb", [json.dumps(usage_counter._kept_whole(asked))])
