"""The steps to a first answer on a team's overview."""

import uuid
from datetime import timedelta

from django.utils.timezone import now

from billing.metering import usage_events
from inference.queries import overview, traffic
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
    page = load_overview(deployment.team, has_read_report=True)
    assert page.requests == 0
    assert page.steps[-1].is_done


def test_every_job_of_the_team_is_counted(job, other_team, monkeypatch):
    monkeypatch.setattr(overview, "NEWEST_JOBS", 3)
    for number in range(8):
        job.pk, job._state.adding = uuid.uuid4(), True
        job.status = "running" if number < 5 else "queued"
        job.save()
    page = load_overview(job.team, has_read_report=True)
    assert (page.running, page.queued) == (5, 4)  # The job itself waits, too.
    nothing = load_overview(other_team, has_read_report=True)
    assert (nothing.running, nothing.queued) == (0, 0)
