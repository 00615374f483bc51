"""A fine-tuned model answers under its name as soon as somebody who may asks for it."""

import contextlib
from functools import partial

import pytest
from django.utils.timezone import now

from accounts.models import TokenScope
from inference import deployments, scheduled_deployments
from inference.errors import NoSuchObject, NotDeployedYet
from inference.fine_tuning import jobs, names
from inference.fine_tuning.deploying import deploy_on_demand
from inference.models import Deployment, FineTuningJob, ScheduledDeployment
from tests.conftest import issue
from training.artifacts import checkpoint_retention
from training.models import Checkpoint, TrainedModel, TrainingJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def fine_tune(job):
    """A job of the pages, that has succeeded."""
    model = TrainedModel.objects.create(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="m",
        task=job.task, base_model=job.base_model, artifact_key="artifacts/none",
    )  # fmt: skip
    jobs.adopt_jobs(job.team)
    row = FineTuningJob.objects.get()
    job.start()
    job.succeed(model)
    return row


@pytest.fixture
def name(fine_tune):
    return names.fine_tuned_model_name(fine_tune)


def serving():
    return list(Deployment.objects.serving().values_list("name", flat=True))


def test_a_token_that_may_write_deploys_by_asking_and_only_once(fine_tune, name, token):
    ask = partial(deploy_on_demand, token.team_id, name, token.pk)
    ask()
    ask()
    assert serving() == [name]


def test_a_token_that_may_only_ask_is_told_what_to_do(fine_tune, name, team, alice):
    asker = issue(team, alice, scopes=[TokenScope.INFERENCE])
    for token_id in (asker.pk, None):
        with pytest.raises(NotDeployedYet):
            deploy_on_demand(team.pk, name, token_id)
    assert serving() == []


def test_whoever_started_it_by_the_api_has_agreed(fine_tune, name, team, alice):
    ScheduledDeployment.objects.create(team=team, job=fine_tune.job, name=name, requested_by=alice)
    asker = issue(team, alice, scopes=[TokenScope.INFERENCE])
    deploy_on_demand(team.pk, name, asker.pk)
    assert serving() == [name]


def test_a_deleted_model_does_not_come_back(fine_tune, name, team, alice, token):
    ScheduledDeployment.objects.create(team=team, job=fine_tune.job, name=name, requested_by=alice)
    deploy_on_demand(team.pk, name, token.pk)
    deployments.retire(Deployment.objects.serving().get(), alice)
    deploy_on_demand(team.pk, name, token.pk)
    scheduled_deployments.advance_all()
    assert serving() == []


def test_names_of_nothing_and_of_strangers_deploy_nothing(fine_tune, name, other_team, token):
    deploy_on_demand(other_team.pk, name, None)
    for other in (name[:-1] + "x", name.replace("acme", "other"), "ft:", "ft:a:b:c:d", name + ":"):
        deploy_on_demand(token.team_id, other, token.pk)
    assert serving() == []


def test_a_kept_checkpoint_of_a_language_model_answers_under_its_own_name(
    fine_tune, name, team, alice
):
    ScheduledDeployment.objects.create(team=team, job=fine_tune.job, name=name, requested_by=alice)
    TrainingJob.objects.update(task="text-generation")
    TrainedModel.objects.update(task="text-generation")
    facts = {"job": fine_tune.job, "attempt_number": 1}
    row = Checkpoint.objects.create(step=3, storage_key="c/1-000003", **facts)
    Checkpoint.objects.create(step=2, storage_key="c/1-000002", deleted_at=now(), **facts)
    asker = issue(team, alice, scopes=[TokenScope.INFERENCE])
    deploy_on_demand(team.pk, f"{name}:ckpt-step-3", asker.pk)
    assert serving() == [f"{name}:ckpt-step-3"]
    assert Deployment.objects.get().checkpoint == row
    assert not checkpoint_retention.delete_checkpoint(row)  # It is in use.
    for missing in ("2", "4", "x", "-1"):
        with contextlib.suppress(NoSuchObject):
            deploy_on_demand(team.pk, f"{name}:ckpt-step-{missing}", asker.pk)
    deploy_on_demand(team.pk, name, asker.pk)  # The finished model is scheduled still.
    assert set(serving()) == {name, f"{name}:ckpt-step-3"}
    deployments.retire(Deployment.objects.get(checkpoint=row), alice)
    assert checkpoint_retention.delete_checkpoint(row)


def test_a_classifiers_checkpoint_is_refused(fine_tune, name, token):
    Checkpoint.objects.create(job=fine_tune.job, attempt_number=1, step=3, storage_key="x")
    with pytest.raises(NoSuchObject, match="no checkpoint of step 3"):
        deploy_on_demand(token.team_id, f"{name}:ckpt-step-3", token.pk)


def test_a_job_under_way_says_so(fine_tune, name, token):
    TrainingJob.objects.update(status="running", finished_at=None, model=None)
    with pytest.raises(NoSuchObject, match="running"):
        deploy_on_demand(token.team_id, name, token.pk)
