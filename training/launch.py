"""Launching: what it will take, whether it is allowed, and the queued job."""

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from accounts import audit
from accounts.models import ApiToken, Team, User
from billing import budget as budgets
from billing.models import Rate
from billing.money import amount_micro
from engine import catalog, tasks
from engine.estimate import DataFacts
from engine.estimate import estimate as engine_estimate
from engine.spec import DEFAULT_TASK, SPECS, TrainingSpec, parse_spec, place_of
from projects.errors import DatasetNotReady
from projects.models import DatasetVersion, ImportStatus
from training import calibration, limits, schedule
from training.errors import CannotLaunch, OverBudget, TeamFrozen
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
class Estimate:
    """Will it fit, how long, how much. `allowed` is false when `reasons` says why not."""

    fits: bool
    allowed: bool
    seconds: float  # The guess behind the range, against which finished jobs are measured.
    seconds_low: int
    seconds_high: int
    cost_low_micro: int
    cost_high_micro: int
    memory_bytes: int
    available_bytes: int
    reasons: list[str]
    sentence: str


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
    return _estimate(dataset_version, plan)


def launch(
    *, dataset_version: DatasetVersion, user: User, wanted: LaunchRequest, viewer: User | ApiToken
) -> TrainingJob:
    """Queue one job. Raises CannotLaunch, OverBudget, TeamFrozen or DatasetNotReady."""
    plan = _checked(dataset_version, wanted)
    expected = _estimate(dataset_version, plan)
    project = dataset_version.dataset.project
    _refuse_unless_allowed(project.team, expected)
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
            estimate={
                "seconds": expected.seconds,
                "seconds_low": expected.seconds_low,
                "seconds_high": expected.seconds_high,
                "cost_low_micro": expected.cost_low_micro,
                "cost_high_micro": expected.cost_high_micro,
                "memory_bytes": expected.memory_bytes,
            },
        )
        job.announce(Status.QUEUED, f"Queued for {plan.compute_class.name}")
        audit.record(project.team, viewer, "job.launched", str(job.pk), name=job.name)
        schedule.nudge(job)
    return job


def _name(version: DatasetVersion, plan: Plan) -> str:
    """What a job is called when nobody says: the data without its file ending, and the model."""
    return f"{PurePath(version.dataset.name).stem} · {plan.entry.name}"[:120]


def _refuse_unless_allowed(team: Team, expected: Estimate) -> None:
    if team.frozen_at:
        raise TeamFrozen
    if not expected.fits:
        raise CannotLaunch(expected.sentence, param="compute")
    if not expected.allowed:
        raise OverBudget(" ".join(expected.reasons))


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
    compute_class = _compute_class(wanted.compute)
    limits.require_allowed(wanted.priority, wanted.time_limit_seconds, compute_class)
    _require_columns(version, recipe)
    if wanted.search is not None:
        recipe["search"] = recipe_part(wanted.search, compute_class)
    spec = _validated(recipe)
    if problem := spec.search_problem():
        raise CannotLaunch(f"search: {problem}", param="search")
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


def _validated(recipe: dict[str, Any]) -> TrainingSpec:
    """The engine's own check, so that nothing invalid is ever queued."""
    nowhere = {"data": Path("data.parquet"), "output": Path("out"), "work": Path("work")}
    try:
        return parse_spec(recipe | nowhere)
    except ValidationError as error:
        first = error.errors()[0]
        roles = [role for role in SPECS[recipe["task"]].roles if not role.is_about]
        where = place_of(first["loc"]) or roles[-1].field
        message = first["msg"].removeprefix("Value error, ")
        raise CannotLaunch(f"{where}: {message}.".replace("..", "."), param=where) from None


def _compute_class(code: str | None) -> ComputeClass:
    offered = ComputeClass.objects.filter(is_offered=True).order_by("order", "code")
    chosen = offered.filter(code=code).first() if code else offered.first()
    if chosen is None:
        codes = ", ".join(offered.values_list("code", flat=True)) or "none"
        raise CannotLaunch(f"There is no compute {code!r}. Offered: {codes}.", param="compute")
    return chosen


def _base_model(task: str, base_model: str | None) -> catalog.BaseModelEntry:
    try:
        return catalog.find_for(task, base_model)
    except catalog.UnknownBaseModel as unknown:
        raise CannotLaunch(unknown.sentence, param="base_model") from None


def _estimate(version: DatasetVersion, plan: Plan) -> Estimate:
    columns = {column["name"]: column for column in version.profile.get("columns", [])}
    expected = engine_estimate(
        plan.spec,
        DataFacts(rows=version.rows or 0, columns=columns),
        device="cuda" if plan.compute_class.device == "cuda" else "cpu",
        memory_limit_bytes=plan.compute_class.memory_bytes,
        slowness=calibration.slowness(plan.compute_class, plan.spec.task),
    )
    costs = [
        _cost(plan.compute_class, seconds)
        for seconds in (expected.seconds_low, expected.seconds_high)
    ]
    reasons = _money_reasons(version.dataset.project.team, costs[0])
    if not expected.fits:
        reasons.append(expected.sentence)
    return Estimate(
        fits=expected.fits,
        allowed=not reasons,
        seconds=expected.seconds,
        seconds_low=int(expected.seconds_low),
        seconds_high=int(expected.seconds_high),
        cost_low_micro=costs[0],
        cost_high_micro=costs[1],
        memory_bytes=expected.memory_bytes,
        available_bytes=plan.compute_class.memory_bytes,
        reasons=reasons,
        sentence=expected.sentence,
    )


def _cost(compute_class: ComputeClass, seconds: float) -> int:
    rate = Rate.objects.current(compute_class.code)
    return amount_micro(int(seconds * 1000) * compute_class.devices, rate.nano_per_unit)


def _money_reasons(team: Team, lowest_cost: int) -> list[str]:
    left = budgets.of(team).left_micro
    if left is None or lowest_cost <= left:
        return []
    return [
        f"The estimate starts at ${lowest_cost / 1e6:.4f}, but only ${left / 1e6:.4f} is left "
        "under this month's spend cap. Raise the cap on the Usage & billing page."
    ]
