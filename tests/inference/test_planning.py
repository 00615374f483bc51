from pathlib import Path

import pytest
from django.utils.timezone import now

from accounts.models import ApiToken, Team, User
from inference import demo, deploy, planning
from inference.errors import PlanSettled
from inference.models import Deployment, DeploymentPlan
from projects.models import DatasetVersion, ImportStatus
from training.models import Status, TrainingJob


@pytest.fixture
def running(job):
    job.start()
    return job


def test_a_job_that_succeeds_is_deployed_under_the_planned_name(running, model, alice):
    plan = planning.deploy_when_succeeded(running, "planned", alice)
    planning.carry_all()
    assert not Deployment.objects.exists()
    running.succeed(model)
    planning.carry_all()
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.deployment == Deployment.objects.get()
    assert (plan.deployment.name, plan.deployment.model) == ("planned", model)
    assert plan.outcome == "Deployed as planned."


def test_a_name_that_serves_already_moves(running, model, make_model, alice):
    serving = deploy.deploy(make_model("Older"), "planned", alice)
    planning.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    planning.carry_all()
    serving.refresh_from_db()
    assert serving.model == model


def test_a_job_that_fails_or_is_cancelled_settles_its_plan(running, alice):
    plan = planning.deploy_when_succeeded(running, "planned", alice)
    running.cancel()
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.outcome == "Given up: the job was cancelled."
    with pytest.raises(PlanSettled):
        planning.deploy_when_succeeded(running, "again", alice)


def test_planning_again_changes_the_name(running, alice):
    planning.deploy_when_succeeded(running, "one", alice)
    planning.deploy_when_succeeded(running, "two", alice)
    assert DeploymentPlan.objects.get().name == "two"


def test_a_fine_tune_starts_by_itself_when_its_import_is_ready(dataset_version, alice):
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status=ImportStatus.IMPORTING, finished_at=None
    )
    plan = planning.launch_when_ready(dataset_version, "planned", alice)
    planning.carry_all()
    assert not TrainingJob.objects.exists()
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status=ImportStatus.READY, finished_at=now()
    )
    planning.carry_all()
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.job == TrainingJob.objects.get()
    assert plan.job.status == Status.QUEUED


def test_a_failed_import_settles_the_plan(dataset_version, alice):
    plan = planning.launch_when_ready(dataset_version, "planned", alice)
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status=ImportStatus.FAILED, failure_code="x", failure_sentence="It was empty."
    )
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.outcome == "Given up: the import failed. It was empty."


def test_a_frozen_team_gives_its_plans_up_with_a_sentence(running, model, team, alice):
    plan = planning.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    Team.objects.filter(pk=team.pk).update(frozen_at=now())
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.outcome.startswith("Given up: This team is on hold.")


@pytest.mark.django_db
def test_seeding_the_demo_twice_gives_the_same_credentials_and_one_of_everything(
    settings, tmp_path: Path
):
    settings.VAR_DIR = tmp_path
    first = demo.seed()
    assert demo.seed() == first
    user = User.objects.get(email=first.email)
    assert user.check_password(first.password)
    assert ApiToken.objects.matching(first.token).get().team.name == "Demo team"
    assert DatasetVersion.objects.count() == DeploymentPlan.objects.count() == 1
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db
def test_a_lost_credentials_file_is_made_anew_with_ones_that_work(settings, tmp_path: Path):
    settings.VAR_DIR = tmp_path
    first = demo.seed()
    (tmp_path / "demo.json").unlink()
    second = demo.seed()
    assert second.password != first.password
    assert User.objects.get(email=second.email).check_password(second.password)
    assert ApiToken.objects.matching(second.token).exists()


def test_a_person_who_left_the_team_deploys_nothing_any_more(running, model, alice):
    plan = planning.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    alice.memberships.all().delete()
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.outcome.startswith("Given up: ")
    assert not Deployment.objects.exists()
