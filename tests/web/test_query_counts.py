"""Lists ask the database as often for fifty rows as for one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import ApiToken
from billing.metering import runs
from billing.models import MeteredRun, RunEndReason
from inference.models import Deployment
from projects.models import Dataset, DatasetVersion
from tests.web.browser.markup import unnamed_in
from tests.web.test_outsiders import concrete, is_acmes, routes
from training.models import Attempt, MetricPoint, Status, TrainedModel, TrainingJob
from training.scheduling import claims

FEW, MANY = 1, 24  # A page of jobs shows 25.
MOST_QUERIES = 12
CLAIM_QUERIES = 17  # Two of them make the budget, once for each team.

PAGES = {
    "jobs": "/teams/{team}/jobs/",
    "jobs by cost": "/teams/{team}/jobs/?sort=cost",
    "project jobs": "/projects/{project}/jobs/list/",
    "models": "/teams/{team}/models/",
    "datasets": "/teams/{team}/datasets/",
    "deployments": "/teams/{team}/deployments/",
    "tokens": "/teams/{team}/tokens/",
    "usage": "/teams/{team}/usage/",
    "statement": "/teams/{team}/usage/statement/",
    "overview": "/teams/{team}/",
    "admin jobs": "/admin/training/trainingjob/",
    "admin models": "/admin/training/trainedmodel/",
    "admin runs": "/admin/billing/meteredrun/",
    "admin segments": "/admin/billing/usagesegment/",
    "admin ledger": "/admin/billing/ledgerentry/",
    "admin deployments": "/admin/inference/deployment/",
    "admin tokens": "/admin/accounts/apitoken/",
}
ENDPOINTS = {
    "jobs": "/api/v1/training-jobs?limit=100",
    "deployments": "/api/v1/deployments?limit=100",
    "usage": "/api/v1/usage",
}


def have(job: TrainingJob, count: int) -> None:
    """So many more finished, billed, deployed jobs of the team, each with a curve and a token."""
    for number in range(count):
        made = _finished(job, number)
        Deployment.objects.create(
            team=job.team, project=job.project, model=made, name=f"queue-{made.pk}"[:40]
        )
        dataset = Dataset.objects.create(project=job.project, name=f"more {number}.csv")
        DatasetVersion.objects.create(
            dataset=dataset, number=1, filename="a.csv", upload_key="a", upload_bytes=1
        )
        ApiToken.issue(team=job.team, created_by=job.launched_by, name=f"token {number}")


def _finished(job: TrainingJob, number: int) -> TrainedModel:
    shared = {
        "team": job.team,
        "project": job.project,
        "dataset_version": job.dataset_version,
        "task": job.task,
        "base_model": job.base_model,
        "name": f"{job.name} {number}",
    }
    model = TrainedModel.objects.create(**shared, artifact_key="artifacts/none")
    done = TrainingJob.objects.create(
        **shared,
        compute_class=job.compute_class,
        launched_by=job.launched_by,
        recipe=job.recipe,
        model=model,
        status=Status.SUCCEEDED,
        finished_at=now(),
    )
    run = runs.open_run(job.team, done.source, "cpu")
    MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(minutes=1))
    runs.heartbeat(run.pk, run.fence, 5_000)
    runs.end_run(run.pk, RunEndReason.FINISHED)
    Attempt.objects.create(job=done, number=1, worker="a", run=run, ended_at=now())
    MetricPoint.objects.bulk_create(
        MetricPoint(job=done, attempt_number=1, name="train_loss", step=step, value=1 / step)
        for step in range(1, 4)
    )
    return model


def queries_of(client, path: str) -> list[str]:
    assert client.get(path).status_code == 200  # Caches are warm from here on.
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
        return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_as_often_for_many_rows_as_for_one(page, job, alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client = client_of(alice)
    path = PAGES[page].format(team=job.team.slug, project=job.project_id)
    have(job, FEW)
    few = queries_of(client, path)
    have(job, MANY)
    many = queries_of(client, path)
    assert len(many) <= len(few), "\n".join(many)


def test_no_page_asks_more_than_twelve_times(things, job, alice, client_of):
    """Every page and fragment of a team, with the session's, the person's and the team's rows."""
    client, counts, unnamed = client_of(alice), {}, {}
    have(job, FEW)
    paths = {concrete(route, things): name for route, name in routes() if is_acmes(route, things)}
    for path, name in sorted(paths.items()):
        if path.startswith(("/accounts/", "/api/", "/v1/")) or path.endswith("/live/"):
            continue
        answer = client.get(path)
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            counts[name] = len(queries_of(client, path))
            unnamed |= {name: parts} if (parts := unnamed_in(answer.content.decode())) else {}
    assert len(counts) > 40
    assert {name: asked for name, asked in counts.items() if asked > MOST_QUERIES} == {}
    assert unnamed == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_asks_as_often_for_many_rows_as_for_one(endpoint, job, token, api):
    client = api(token)
    have(job, FEW)
    few = queries_of(client, ENDPOINTS[endpoint])
    have(job, MANY)
    many = queries_of(client, ENDPOINTS[endpoint])
    assert len(many) <= len(few), "\n".join(many)


@pytest.mark.parametrize("waiting", [FEW, 50])
def test_a_claim_asks_as_often_however_many_wait(waiting, job):
    TrainingJob.objects.bulk_create(
        TrainingJob(
            team=job.team,
            project=job.project,
            dataset_version=job.dataset_version,
            compute_class=job.compute_class,
            name=f"waiting {number}",
            task=job.task,
            base_model=job.base_model,
            recipe=job.recipe,
        )
        for number in range(waiting)
    )
    with CaptureQueriesContext(connection) as captured:
        assert claims.claim("cpu", "trainer-1") is not None
    assert len(captured) <= CLAIM_QUERIES
