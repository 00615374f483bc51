import threading
import uuid
from pathlib import Path

import pytest
from django.db import connection
from django.utils.timezone import now

from accounts.authentication import find_token
from accounts.models import Team, User
from inference import demo, deployments, promotion, scheduled_deployments
from inference.errors import JobAlreadyFinished
from inference.models import Deployment, ScheduledDeployment
from projects.models import DatasetVersion, ImportStatus
from training.errors import OverBudget
from training.models import Status, TrainedModel, TrainingJob


@pytest.fixture
def running(job):
    job.start()
    return job


def test_a_job_that_succeeds_is_deployed_under_the_planned_name(running, model, alice):
    plan = scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    scheduled_deployments.advance_all()
    assert not Deployment.objects.exists()
    running.succeed(model)
    scheduled_deployments.advance_all()
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    assert plan.deployment == Deployment.objects.get()
    assert (plan.deployment.name, plan.deployment.model) == ("planned", model)
    assert plan.outcome == "Deployed as planned."


def test_a_name_that_serves_already_moves(running, model, make_model, alice):
    serving = deployments.deploy(make_model("Older"), "planned", alice)
    scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    scheduled_deployments.advance_all()
    serving.refresh_from_db()
    assert serving.model == model


def test_a_job_that_fails_or_is_cancelled_settles_its_plan(running, alice):
    plan = scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    running.cancel()
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    assert plan.outcome == "Given up: the job was cancelled."
    with pytest.raises(JobAlreadyFinished):
        scheduled_deployments.deploy_when_succeeded(running, "again", alice)


def test_planning_again_changes_the_name(running, alice):
    scheduled_deployments.deploy_when_succeeded(running, "one", alice)
    scheduled_deployments.deploy_when_succeeded(running, "two", alice)
    assert ScheduledDeployment.objects.get().name == "two"


def test_a_fine_tune_starts_by_itself_when_its_import_is_ready(dataset_version, alice):
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status=ImportStatus.IMPORTING, finished_at=None
    )
    plan = scheduled_deployments.launch_when_ready(dataset_version, "planned", alice)
    scheduled_deployments.advance_all()
    assert not TrainingJob.objects.exists()
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status=ImportStatus.READY, finished_at=now()
    )
    scheduled_deployments.advance_all()
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    quick = TrainingJob.objects.get()  # Alone, until it is live.
    assert (plan.job, quick.status) == (quick, Status.QUEUED)
    chosen = quick.recipe["hyperparameters"]
    # Beside other small models, so that the first answers are the best of them.
    assert (chosen["method"], chosen["contenders"]) == ("probe", True)


@pytest.fixture
def quick(dataset_version, alice):
    """The plan whose quick job runs."""
    plan = scheduled_deployments.launch_when_ready(dataset_version, "planned", alice)
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    plan.job.start()
    return plan


def test_the_thorough_fine_tune_follows_once_the_quick_model_is_live(quick, model):
    quick.job.succeed(model)
    scheduled_deployments.advance_all()
    scheduled_deployments.advance_all()
    thorough = TrainingJob.objects.exclude(pk=quick.job_id).get()
    assert Deployment.objects.get().model == model
    assert (thorough.recipe["hyperparameters"]["method"], thorough.status) == (
        "auto",
        Status.QUEUED,
    )
    follows = ScheduledDeployment.objects.get(job=thorough)
    assert follows.name == "planned"  # It takes over the name that the quick one got.


@pytest.mark.parametrize(("outcome", "jobs"), [("fail", 2), ("cancel", 1)])
def test_what_follows_a_quick_fine_tune_that_made_no_model(quick, outcome, jobs):
    if outcome == "fail":
        quick.job.fail("out_of_memory", "It broke.")
    else:
        quick.job.cancel()
    scheduled_deployments.advance_all()
    assert TrainingJob.objects.count() == jobs
    assert not Deployment.objects.exists()


def test_a_quick_model_stays_live_where_nothing_may_follow(quick, model, monkeypatch):
    def refuse(**_):
        raise OverBudget("The cap is reached.")

    monkeypatch.setattr(scheduled_deployments, "launch", refuse)
    quick.job.succeed(model)
    scheduled_deployments.advance_all()
    quick.refresh_from_db()
    assert quick.outcome == "Deployed as planned."
    assert (Deployment.objects.count(), TrainingJob.objects.count()) == (1, 1)


def test_a_failed_import_settles_the_plan(dataset_version, alice):
    plan = scheduled_deployments.launch_when_ready(dataset_version, "planned", alice)
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status=ImportStatus.FAILED, failure_code="x", failure_sentence="It was empty."
    )
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    assert plan.outcome == "Given up: the import failed. It was empty."


def test_a_frozen_team_gives_its_plans_up_with_a_sentence(running, model, team, alice):
    plan = scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    Team.objects.filter(pk=team.pk).update(frozen_at=now())
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    assert plan.outcome.startswith("Given up: This team is suspended.")


@pytest.mark.django_db
def test_seeding_the_demo_twice_gives_the_same_credentials_and_one_of_everything(
    settings, tmp_path: Path
):
    settings.VAR_DIR = tmp_path
    first = demo.seed()
    assert demo.seed() == first
    user = User.objects.get(email=first.email)
    assert user.check_password(first.password)
    assert find_token(first.token).team.name == "Demo team"
    assert DatasetVersion.objects.count() == ScheduledDeployment.objects.count() == 1
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db
def test_a_lost_credentials_file_is_made_anew_with_ones_that_work(settings, tmp_path: Path):
    settings.VAR_DIR = tmp_path
    first = demo.seed()
    (tmp_path / "demo.json").unlink()
    second = demo.seed()
    assert second.password != first.password
    assert User.objects.get(email=second.email).check_password(second.password)
    assert find_token(second.token) is not None


def test_a_person_who_left_the_team_deploys_nothing_any_more(running, model, alice):
    plan = scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    alice.memberships.all().delete()
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    assert plan.outcome.startswith("Given up: ")
    assert not Deployment.objects.exists()


def test_one_schedule_that_cannot_go_on_does_not_hold_up_the_others(
    running, model, alice, dataset_version, monkeypatch
):
    """Storage is down while one rule is evaluated: its schedule stays open, nothing has moved."""

    def storage_is_down(deployment, model):
        raise OSError("the storage does not answer")

    stuck = scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    serving = deployments.deploy(model, "planned", alice)
    running.succeed(_sibling(model))
    other = scheduled_deployments.launch_when_ready(dataset_version, "other", alice)
    monkeypatch.setattr(promotion, "evaluate_rule", storage_is_down)
    scheduled_deployments.advance_all()
    stuck.refresh_from_db()
    serving.refresh_from_db()
    other.refresh_from_db()
    assert stuck.settled_at is None
    assert serving.model == model
    assert other.job is not None
    monkeypatch.undo()
    scheduled_deployments.advance_all()
    stuck.refresh_from_db()
    assert stuck.outcome == "Deployed as planned."


def test_a_round_cut_off_before_it_closed_the_schedule_is_finished_by_the_next(
    running, model, alice, monkeypatch
):
    scheduled = scheduled_deployments.deploy_when_succeeded(running, "planned", alice)
    running.succeed(model)
    with monkeypatch.context() as broken:
        broken.setattr(scheduled_deployments, "_close", _raise_system_exit)
        with pytest.raises(SystemExit):
            scheduled_deployments.advance_all()
    made = Deployment.objects.get()
    scheduled_deployments.advance_all()
    scheduled.refresh_from_db()
    made.refresh_from_db()
    assert scheduled.outcome == "Deployed as planned."
    assert scheduled.deployment == made == Deployment.objects.get()


def _raise_system_exit(*args):
    raise SystemExit


def _sibling(model: TrainedModel) -> TrainedModel:
    """Another model with the same files."""
    pk = model.pk
    model.pk = uuid.uuid4()
    model._state.adding = True
    model.save(force_insert=True)
    made = TrainedModel.objects.get(pk=model.pk)
    model.pk = pk
    return made


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_workers_advance_one_schedule_once(job, model, alice, monkeypatch):
    job.start()
    scheduled_deployments.deploy_when_succeeded(job, "planned", alice)
    job.succeed(model)
    deploy, calls = deployments.deploy, []
    begun, go_on = threading.Event(), threading.Event()

    def slow_deploy(*args):
        calls.append(args)
        begun.set()
        assert go_on.wait(30)
        return deploy(*args)

    monkeypatch.setattr(deployments, "deploy", slow_deploy)

    def work():
        try:
            scheduled_deployments.advance_all()
        finally:
            connection.close()

    first = threading.Thread(target=work)
    first.start()
    assert begun.wait(30)
    scheduled_deployments.advance_all()  # Returns at once: the other worker has the schedule.
    go_on.set()
    first.join(30)
    assert len(calls) == 1
    assert Deployment.objects.get().name == "planned"
    assert ScheduledDeployment.objects.get().outcome == "Deployed as planned."
