"""The steps to a first answer on a team's overview."""

from datetime import timedelta

from django.utils.timezone import now

from billing.metering import usage_events
from inference.queries import traffic
from inference.queries.overview import load_overview


def test_a_call_of_days_ago_is_still_a_call(deployment, monkeypatch):
    *_, call = load_overview(deployment.team, has_read_report=True).steps
    assert (call.title, call.is_done) == ("Call it", False)
    usage_events.record_usage(
        [
            usage_events.UsageRecord(
                team_id=deployment.team_id,
                source=deployment.source,
                event_key="1",
                units=10,
                requests=1,
            )
        ]
    )
    monkeypatch.setattr(traffic, "now", lambda: now() + timedelta(days=3))
    overview = load_overview(deployment.team, has_read_report=True)
    assert overview.requests == 0
    assert overview.steps[-1].is_done
