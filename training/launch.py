"""Launching: what it will take, whether it is allowed, and the queued job."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from engine import catalog, tasks
from engine.spec import DEFAULT_TASK, SPECS, TrainingSpec
from projects.errors import DatasetNotReady
from projects.models import DatasetVersion, ImportStatus
from training import limits, schedule
from training.errors import CannotLaunch
from training.estimating import (
    Estimate,
    compute_class_of,
    estimate_of,
    refuse_unless_allowed,
    validated,
)
from training.models import ComputeClass, Status, TrainingJob
from training.search_options import recipe_part

TASKS = tuple(tasks.MODULES)


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What somebody asks for; everything left out takes a suggestion or a default."""

    task: str | None = None
    name: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)  # By the roles of the task's spec.
    base_model: str | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] | None = None  # See training.search_options.
    compute: str | None = None
    priority: int = 0  # Among the team's own jobs.
    time_limit_seconds: int | None = None  # Billable run time; None takes the class's.


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked request: everything the job row needs."""

    recipe: dict[str, Any]
    compute_class: ComputeClass
    spec: TrainingSpec  # Without real paths.
    entry: catalog.BaseModelEntry


def estimate(*, dataset_version: DatasetVersion, wanted: LaunchRequest) -> Estimate:
    """What launching this would take. Raises CannotLaunch for what is wrong with the request."""
    plan = _checked(dataset_version, wanted)
    return estimate_of(dataset_version, plan.spec, plan.compute_class)


def launch(
    *, dataset_version: DatasetVersion, user: User, wanted: LaunchRequest, viewer: User | ApiToken
) -> TrainingJob:
    """Queue one job. Raises CannotLaunch, OverBudget, TeamFrozen or DatasetNotReady."""
    plan = _checked(dataset_version, wanted)
    expected = estimate_of(dataset_version, plan.spec, plan.compute_class)
    project = dataset_version.dataset.project
    refuse_unless_allowed(project.team, expected)
    with transaction.atomic():
        job = TrainingJob.objects.create(
            team=project.team,
            project=project,
            dataset_version=dataset_version,
            compute_class=plan.compute_class,
            launched_by=user,
            name=wanted.name or _name(dataset_version, plan),
            task=plan.recipe["task"],
            base_model=plan.entry.id,
            recipe=plan.recipe,
            priority=wanted.priority,
            time_limit_seconds=wanted.time_limit_seconds,
            estimate=expected.promise,
        )
        job.announce(Status.QUEUED, f"Queued for {plan.compute_class.name}")
        audit.record(project.team, viewer, "job.launched", str(job.pk), name=job.name)
        schedule.nudge(job)
    return job


def _name(version: DatasetVersion, plan: Plan) -> str:
    """What a job is called when nobody says: the data without its file ending, and the model."""
    return f"{PurePath(version.dataset.name).stem} · {plan.entry.name}"[:120]


def _checked(version: DatasetVersion, wanted: LaunchRequest) -> Plan:
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    suggested = version.profile.get("suggested") or {}
    task = _task(wanted.task or suggested_task(version))
    entry = _base_model(task, wanted.base_model)
    columns = SPECS[task].from_suggestion(suggested)
    given = {name: value for name, value in wanted.columns.items() if value}
    roles = SPECS[task].roles
    inputs = [role for role in roles if not role.is_target and not role.is_about]
    if any(given.get(role.field) for role in inputs):
        # Inputs named by hand replace all suggested ones: half of each would be nobody's wish.
        targets = {role.field for role in roles if role.is_target}
        columns = {name: value for name, value in columns.items() if name in targets}
    recipe: dict[str, Any] = {"task": task, "base_model": entry.id}
    recipe |= {name: value for name, value in (columns | given).items() if value}
    recipe["hyperparameters"] = wanted.hyperparameters
    compute_class = compute_class_of(wanted.compute)
    limits.require_allowed(wanted.priority, wanted.time_limit_seconds, compute_class)
    _require_columns(version, recipe)
    if wanted.search is not None:
        recipe["search"] = recipe_part(wanted.search, compute_class)
    spec = validated(recipe)
    if problem := spec.search_problem():
        raise CannotLaunch(f"search: {problem}", param="search")
    if problem := spec.device_problem(compute_class.device):
        raise CannotLaunch(problem, param="hyperparameters.precision")
    # Written out, so that a later change of a default never rewrites what this job ran with.
    recipe["hyperparameters"] = spec.hyperparameters.model_dump()
    return Plan(recipe=recipe, compute_class=compute_class, spec=spec, entry=entry)


def suggested_task(version: DatasetVersion) -> str:
    """What the import thinks the data could teach, if it is on offer."""
    task = (version.profile.get("suggested") or {}).get("task")
    return task if task in TASKS else DEFAULT_TASK


def _task(task: str) -> str:
    if task not in TASKS:
        raise CannotLaunch(
            f"The task {task!r} is not supported. Supported: {', '.join(TASKS)}.", param="task"
        )
    return task


def _require_columns(version: DatasetVersion, recipe: dict[str, Any]) -> None:
    present = [column["name"] for column in version.columns]
    for role in SPECS[recipe["task"]].roles:
        named = role.named(recipe)
        if role.required and not named:
            raise CannotLaunch(f"Choose a column for {role.title.lower()}.", param=role.field)
        for column in named:
            if column not in present:
                raise CannotLaunch(
                    f"{version.dataset} has no column {column!r}. It has: {', '.join(present)}.",
                    param=role.field,
                )


def _base_model(task: str, base_model: str | None) -> catalog.BaseModelEntry:
    try:
        return catalog.find_for(task, base_model)
    except catalog.UnknownBaseModel as unknown:
        raise CannotLaunch(unknown.sentence, param="base_model") from None
