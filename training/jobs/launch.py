"""Launching a fine-tune: the request completed and checked, estimated, and queued as a job."""

from dataclasses import dataclass, field
from pathlib import PurePath
from uuid import UUID, uuid4

from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from engine import catalog, tasks
from engine.spec import DEFAULT_TASK, SPEC_CLASSES, ColumnRole, SplitSpec, TrainingSpec
from projects.errors import DatasetNotReady
from projects.models import DatasetVersion, ImportStatus
from training.errors import CannotLaunch
from training.estimates.estimate import (
    Estimate,
    estimate_job,
    find_compute_class,
    require_launch_allowed,
    with_inspection,
)
from training.jobs import limits
from training.jobs.base_model_choice import default_base_model
from training.jobs.inspections import inspect_version
from training.jobs.recipes import (
    HyperparameterValues,
    Recipe,
    SearchOptions,
    validate_recipe,
    validate_search,
)
from training.models import ComputeClass, Status, TrainedModel, TrainingJob
from training.scheduling import dispatch
from web.browser.trash import require_present
from web.rate_limits.actions import require_rate

TASKS = tuple(tasks.TASK_MODULES)
Columns = dict[str, str | list[str]]  # By the roles of the task's spec.
SplitOptions = dict[str, object]  # Fields of engine.spec.SplitSpec; absent ones take the task's.


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What somebody asks for; everything left out takes a suggestion or a default."""

    task: str | None = None
    name: str | None = None
    columns: Columns = field(default_factory=dict)
    base_model: str | None = None
    hyperparameters: HyperparameterValues = field(default_factory=dict)
    search: SearchOptions | None = None
    compute: str | None = None
    priority: int = 0  # Among the team's own jobs.
    time_limit_seconds: int | None = None  # Billable run time; None takes the class's.
    initial_model: TrainedModel | None = None  # Train on from it instead of the base model.
    split: SplitOptions = field(default_factory=dict)  # In place of the suggested split column.


@dataclass(frozen=True, kw_only=True)
class CheckedLaunch:
    """A checked request: everything the job row needs."""

    recipe: Recipe
    compute_class: ComputeClass
    spec: TrainingSpec  # Without real paths.
    base_model: catalog.BaseModelEntry


def estimate(*, dataset_version: DatasetVersion, request: LaunchRequest) -> Estimate:
    """What launching this would take. Raises CannotLaunch for what is wrong with the request."""
    checked = _check_request(dataset_version, request)
    expected = estimate_job(dataset_version, checked.spec, checked.compute_class)
    return with_inspection(expected, inspect_version(dataset_version, checked.spec))


def launch(
    *,
    dataset_version: DatasetVersion,
    user: User,
    request: LaunchRequest,
    viewer: User | ApiToken,
    job_id: UUID | None = None,
) -> TrainingJob:
    """Queue one job. Raises CannotLaunch, OverBudget, TeamSuspended or DatasetNotReady."""
    require_rate("launches", dataset_version.dataset.project.team_id)
    checked = _check_request(dataset_version, request)
    expected = estimate_job(dataset_version, checked.spec, checked.compute_class)
    project = dataset_version.dataset.project
    _require_usable_data(dataset_version, checked.spec)
    require_launch_allowed(project.team, expected)
    default_name = f"{PurePath(dataset_version.dataset.name).stem} · {checked.base_model.name}"
    with transaction.atomic():
        job = TrainingJob.objects.create(
            id=job_id or uuid4(),
            team=project.team,
            project=project,
            dataset_version=dataset_version,
            compute_class=checked.compute_class,
            launched_by=user,
            name=request.name or default_name[:120],
            task=checked.spec.task,
            base_model=checked.base_model.id,
            recipe=checked.recipe,
            initial_model=request.initial_model,
            priority=request.priority,
            time_limit_seconds=request.time_limit_seconds,
            estimate=expected.as_stored,
        )
        job.record_status_change(Status.QUEUED, f"Queued for {checked.compute_class.name}")
        audit.record(project.team, viewer, "job.launched", str(job.pk), name=job.name)
        dispatch.notify_workers(job)
    return job


def _require_usable_data(version: DatasetVersion, spec: TrainingSpec) -> None:
    """Raises CannotLaunch with what the job would refuse, before anything is queued or paid."""
    inspection = inspect_version(version, spec)
    if inspection is None or inspection.refusal is None:
        return
    roles = [role for role in spec.roles if not role.is_report_only]
    filled = [role.field for role in roles if getattr(spec, role.field)]
    raise CannotLaunch(inspection.refusal.sentence, param=filled[-1])


def suggested_task(version: DatasetVersion) -> str:
    """The task that the import suggests for the data, if it is on offer."""
    task = (version.profile.get("suggested") or {}).get("task")
    return task if task in TASKS else DEFAULT_TASK


def _check_request(version: DatasetVersion, request: LaunchRequest) -> CheckedLaunch:
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    require_present(version.dataset.project, version.dataset)
    task = request.task or suggested_task(version)
    if task not in TASKS:
        raise CannotLaunch(
            f"The task {task!r} is not supported. Supported: {', '.join(TASKS)}.", param="task"
        )
    columns = _complete_columns(version, task, request.columns)
    base_model = _find_base_model(version, task, request.base_model, columns)
    if request.initial_model is not None:
        _require_trainable_on(request.initial_model, version, task, base_model)
    compute_class = find_compute_class(request.compute)
    limits.require_within_limits(request.priority, request.time_limit_seconds, compute_class)
    recipe: Recipe = {"task": task, "base_model": base_model.id}
    recipe |= columns
    recipe["hyperparameters"] = request.hyperparameters
    if request.split:
        recipe.pop("split_column", None)
        recipe["split"] = _complete_split(version, task, request.split)
    _require_columns(version, recipe, SPEC_CLASSES[task].roles)
    if request.search is not None:
        recipe["search"] = validate_search(request.search, compute_class)
    spec = validate_recipe(recipe)
    if problem := spec.search_problem():
        raise CannotLaunch(f"search: {problem}", param="search")
    if problem := spec.device_problem(compute_class.device):
        raise CannotLaunch(problem, param="hyperparameters.precision")
    # Written out, so that a later change of a default never rewrites what this job ran with.
    recipe["hyperparameters"] = spec.hyperparameters.model_dump()
    return CheckedLaunch(
        recipe=recipe, compute_class=compute_class, spec=spec, base_model=base_model
    )


def _complete_columns(version: DatasetVersion, task: str, requested: Columns) -> Recipe:
    """The requested columns, and the suggested ones of the roles that the request leaves out.

    Inputs that are requested replace all suggested inputs: a mixture is what nobody asked for.
    """
    spec_class = SPEC_CLASSES[task]
    named = {name: columns for name, columns in requested.items() if columns}
    suggested = spec_class.from_suggestion(version.profile.get("suggested") or {})
    inputs = [role for role in spec_class.roles if not role.is_target and not role.is_report_only]
    if any(role.field in named for role in inputs):
        own_roles = {
            role.field for role in spec_class.roles if role.is_target or role.is_report_only
        }
        suggested = {name: value for name, value in suggested.items() if name in own_roles}
    targets = {role.field for role in spec_class.roles if role.is_target}
    if (targets | {"messages_column"}) & named.keys():  # Chats hold their answers.
        suggested = {name: value for name, value in suggested.items() if name not in targets}
    used = {
        one for value in named.values() for one in ([value] if isinstance(value, str) else value)
    }
    if suggested.get("split_column") in used:
        del suggested["split_column"]
    return {name: value for name, value in (suggested | named).items() if value}


def _complete_split(version: DatasetVersion, task: str, requested: SplitOptions) -> Recipe:
    """The requested split over the task's own shares. Raises CannotLaunch for a column that the
    version lacks."""
    column, present = requested.get("column"), [one["name"] for one in version.columns]
    if column and column not in present:
        raise CannotLaunch(
            f"{version.dataset} has no column {column!r}. It has: {', '.join(present)}.",
            param="split.column",
        )
    own = SPEC_CLASSES[task].model_fields["split"].default
    assert isinstance(own, SplitSpec)
    named = {name: value for name, value in requested.items() if value not in (None, "")}
    shares = own.model_dump(include={"seed", "validation_fraction", "test_fraction"})
    return shares | {"method": "column" if column else "stratified"} | named


def _require_columns(
    version: DatasetVersion, recipe: Recipe, roles: tuple[ColumnRole, ...]
) -> None:
    present = [column["name"] for column in version.columns]
    for role in roles:
        columns = role.columns_in(recipe)
        is_replaced = bool(role.alternative and recipe.get(role.alternative))
        if role.required and not columns and not is_replaced:
            raise CannotLaunch(f"Choose a column for {role.title.lower()}.", param=role.field)
        for column in columns:
            if column not in present:
                raise CannotLaunch(
                    f"{version.dataset} has no column {column!r}. It has: {', '.join(present)}.",
                    param=role.field,
                )


def _require_trainable_on(
    model: TrainedModel, version: DatasetVersion, task: str, base_model: catalog.BaseModelEntry
) -> None:
    """Raises CannotLaunch for a finished model that this job cannot go on from."""
    if model.team_id != version.dataset.project.team_id or model.archived_at is not None:
        raise CannotLaunch("This model is not one of the team's current models.", param="model")
    if task != "text-generation" or model.task != task:
        raise CannotLaunch(
            f"Training goes on from language models only, and {model.name} does"
            f" {model.task.replace('-', ' ')}. Name its base model, with all examples in one file.",
            param="model",
        )
    if model.base_model != base_model.id:
        raise CannotLaunch(f"{model.name} was made of {model.base_model}.", param="model")


def _find_base_model(
    version: DatasetVersion, task: str, base_model: str | None, columns: Recipe
) -> catalog.BaseModelEntry:
    if base_model is None and task.startswith("text-"):
        texts = columns.get("text_columns")
        return default_base_model(task, version, texts if isinstance(texts, list) else [])
    try:
        return catalog.get_base_model_for_task(task, base_model)
    except catalog.UnknownBaseModel as unknown:
        raise CannotLaunch(unknown.sentence, param="base_model") from None
