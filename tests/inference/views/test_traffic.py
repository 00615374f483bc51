"""The charts of an endpoint: exact requests, sampled latencies, by hour and by day."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from billing.metering import usage_events
from inference.models import RequestLog
from inference.queries.traffic import DAYS, HOURS


def chart(client, deployment, **query):
    answer = client.get(f"/deployments/{deployment.pk}/traffic.json", query)
    assert answer.status_code == 200
    return {one["name"]: dict(map(tuple, one["points"])) for one in answer.json()["series"]}


def log(deployment, number, **facts):
    facts = {"rows": 1, "tokens": 1, "status": 200} | facts
    RequestLog.objects.create(request_id=f"r{number}", deployment=deployment, **facts)


def test_latencies_are_those_of_answered_requests_by_hour(deployment, alice, client_of):
    moment = now()
    for number, ms in enumerate((10, 20, 30)):
        log(deployment, number, latency_ms=ms, at=moment)
    log(deployment, 8, latency_ms=9_999, status=503, at=moment)
    log(deployment, 9, latency_ms=500, at=moment - timedelta(days=3))
    hour = int(moment.replace(minute=0, second=0, microsecond=0).timestamp())
    drawn = chart(client_of(alice), deployment, show="latency")
    assert drawn["half within"] == {hour: 20}
    assert 20 < drawn["99 of 100 within"][hour] < 31
    by_day = chart(client_of(alice), deployment, show="latency", by="day")
    assert sorted(by_day["half within"].values()) == [20, 500]


@pytest.mark.parametrize(("by", "places"), [("hour", HOURS), ("day", DAYS)])
def test_requests_are_counted_with_the_hours_and_days_of_none(
    deployment, alice, client_of, by, places
):
    client = client_of(alice)
    assert chart(client, deployment, by=by) == {}
    usage_events.record_usage([used(deployment, requests=7)])
    drawn = chart(client, deployment, by=by)["requests"]
    assert (len(drawn), sum(drawn.values())) == (places, 7)
    assert drawn[max(drawn)] == 7 or by == "hour"


def test_failures_are_told_apart_by_whose_fault_they_are(deployment, alice, client_of):
    client, moment = client_of(alice), now()
    log(deployment, 0, latency_ms=1, at=moment)
    assert chart(client, deployment, show="failures") == {}
    for number, status in enumerate((400, 429, 499, 500, 503), start=1):
        log(deployment, number, latency_ms=1, status=status, at=moment)
    log(deployment, 9, latency_ms=1, at=moment - timedelta(hours=2))
    log(deployment, 10, latency_ms=1, status=503, at=moment - timedelta(days=3))
    found = chart(client, deployment, show="failures")
    hour = int(moment.replace(minute=0, second=0, microsecond=0).timestamp())
    assert found["refused (4xx)"] == {hour - 7200: 0, hour: 3}
    assert found["failed (5xx)"] == {hour - 7200: 0, hour: 2}
    by_day = chart(client, deployment, show="failures", by="day")
    assert sum(by_day["failed (5xx)"].values()) == 3


def test_a_stranger_gets_no_chart(deployment, mallory, client_of):
    assert client_of(mallory).get(f"/deployments/{deployment.pk}/traffic.json").status_code == 404


def used(deployment, requests):
    return usage_events.UsageRecord(
        team_id=deployment.team_id,
        source=deployment.source,
        event_key="1",
        units=10,
        requests=requests,
    )
