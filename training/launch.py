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
from engine import catalog
from engine.estimate import estimate as engine_estimate
from engine.spec import Hyperparameters, TrainingSpec
from projects.errors import DatasetNotReady
from projects.models import DatasetVersion, ImportStatus
from training import schedule
from training.errors import CannotLaunch, OverBudget, TeamFrozen
from training.models import ComputeClass, TrainingJob

TASKS = ("text-classification",)
DEFAULT_BASE_MODEL = "all-MiniLM-L6-v2"


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What somebody asks for; everything left out takes a suggestion or a default."""

    task: str | None = None
    name: str | None = None
    text_columns: list[str] | None = None
    target_column: str | None = None
    base_model: str | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    compute: str | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Will it fit, how long, how much. `allowed` is false when `reasons` says why not."""

    fits: bool
    allowed: bool
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
    hyperparameters: Hyperparameters
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
            estimate={
                "seconds_low": expected.seconds_low,
                "seconds_high": expected.seconds_high,
                "cost_low_micro": expected.cost_low_micro,
                "cost_high_micro": expected.cost_high_micro,
                "memory_bytes": expected.memory_bytes,
            },
        )
        job.say(f"Queued for {plan.compute_class.name}", kind="status", status="queued")
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
    recipe: dict[str, Any] = {
        "task": _task(wanted.task or "text-classification"),
        "text_columns": wanted.text_columns or suggested.get("text_columns") or [],
        "target_column": wanted.target_column or suggested.get("target_column") or "",
        "base_model": wanted.base_model or DEFAULT_BASE_MODEL,
        "hyperparameters": wanted.hyperparameters,
    }
    _require_columns(version, recipe)
    spec = _validated(recipe)
    # Written out, so that a later change of a default never rewrites what this job ran with.
    recipe["hyperparameters"] = spec.hyperparameters.model_dump()
    return Plan(
        recipe=recipe,
        compute_class=_compute_class(wanted.compute),
        hyperparameters=spec.hyperparameters,
        entry=_base_model(recipe["base_model"]),
    )


def _task(task: str) -> str:
    if task not in TASKS:
        raise CannotLaunch(
            f"The task {task!r} is not supported. Supported: {', '.join(TASKS)}.", param="task"
        )
    return task


def _require_columns(version: DatasetVersion, recipe: dict[str, Any]) -> None:
    present = [column["name"] for column in version.columns]
    if not recipe["text_columns"]:
        raise CannotLaunch("Choose at least one text column to learn from.", param="text_columns")
    if not recipe["target_column"]:
        raise CannotLaunch("Choose the column that holds the label.", param="target_column")
    for param in ("text_columns", "target_column"):
        named = recipe[param] if isinstance(recipe[param], list) else [recipe[param]]
        for column in named:
            if column not in present:
                raise CannotLaunch(
                    f"{version.dataset} has no column {column!r}. It has: {', '.join(present)}.",
                    param=param,
                )


def _validated(recipe: dict[str, Any]) -> TrainingSpec:
    """The engine's own check, so that nothing invalid is ever queued."""
    nowhere = {"data": Path("data.parquet"), "output": Path("out"), "work": Path("work")}
    try:
        return TrainingSpec.model_validate(recipe | nowhere)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "target_column"
        message = first["msg"].removeprefix("Value error, ")
        raise CannotLaunch(f"{where}: {message}.".replace("..", "."), param=where) from None


def _compute_class(code: str | None) -> ComputeClass:
    offered = ComputeClass.objects.filter(is_offered=True).order_by("order", "code")
    chosen = offered.filter(code=code).first() if code else offered.first()
    if chosen is None:
        codes = ", ".join(offered.values_list("code", flat=True)) or "none"
        raise CannotLaunch(f"There is no compute {code!r}. Offered: {codes}.", param="compute")
    return chosen


def _base_model(base_model: str) -> catalog.BaseModelEntry:
    try:
        return catalog.find(base_model)
    except catalog.UnknownBaseModel as unknown:
        raise CannotLaunch(unknown.sentence, param="base_model") from None


def _estimate(version: DatasetVersion, plan: Plan) -> Estimate:
    facts = {column["name"]: column for column in version.profile.get("columns", [])}
    characters = sum(
        facts.get(name, {}).get("mean_length") or 0 for name in plan.recipe["text_columns"]
    )
    expected = engine_estimate(
        rows=version.rows or 0,
        mean_characters=characters,
        labels=facts.get(plan.recipe["target_column"], {}).get("unique") or 2,
        hyperparameters=plan.hyperparameters,
        base_model=plan.entry.id,
        device="cuda" if plan.compute_class.device == "cuda" else "cpu",
        memory_limit_bytes=plan.compute_class.memory_bytes,
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
