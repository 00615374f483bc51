"""What each project cost, asked with one query for each kind of source."""

import pytest

from billing.metering import usage_events
from billing.statements.sources import NO_PROJECT, CostSource, cost_by_project


def test_sources_add_up_to_their_projects(job, django_assert_num_queries):
    sources = [
        CostSource(700, 100, source=job.source),
        CostSource(50, source="training-job:no-id"),
        CostSource(300, source="deployment:12345678-0000-4000-8000-000000000000"),
    ]
    with django_assert_num_queries(2):
        found = cost_by_project(sources)
    assert [(one.project, one.net_micro) for one in found] == [
        (job.project.name, 600),
        (NO_PROJECT, 350),
    ]
    assert [one.percent for one in found] == [100, 58.3]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_the_page_shows_the_month(job, alice, client_of, headers):
    usage_events.record_usage(
        [usage_events.UsageRecord(team_id=job.team_id, source=job.source, event_key="1",
                                  units=10**8, requests=1)]
    )  # fmt: skip
    path = f"/teams/{job.team.slug}/usage/projects/"
    page = client_of(alice).get(path, headers=headers).content.decode()
    assert job.project.name in page
    assert ("<html" in page) == (not headers)
    usage = client_of(alice).get(f"/teams/{job.team.slug}/usage/").content.decode()
    assert "data-inline" in usage
