"""What a launch would take, and why it cannot be launched, as the page shows it beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.shortcuts import get_object_or_404

from accounts.models import User
from accounts.permissions import has_permission
from engine.spec import SPEC_CLASSES
from projects.errors import DatasetNotReady
from projects.models import Dataset, DatasetVersion, ImportStatus
from training.errors import CannotLaunch, TeamSuspended
from training.estimates.estimate import Estimate, format_cost_range
from training.jobs.launch import Columns, LaunchRequest, estimate, suggested_task
from training.models import TrainingJob
from web.browser.trash import InTrash
from web.validation.values import parse_digits


@dataclass(frozen=True)
class LaunchPreview:
    """The three numbers (will it fit, how long, how much), or what is in the way."""

    estimate: Estimate | None
    blocking_reason: str  # Short enough for the button; empty when it is live.
    reasons: list[str] = field(default_factory=list)

    @property
    def formatted_cost(self) -> str:
        """What the estimate says of it; empty where there is none."""
        if self.estimate is None:
            return ""
        return format_cost_range(self.estimate.cost_low_micro, self.estimate.announced_micro)

    @property
    def can_launch(self) -> bool:
        return not self.blocking_reason


def preview_launch(version: DatasetVersion, request: LaunchRequest, viewer: User) -> LaunchPreview:
    """The estimate, and the first reason why this viewer cannot launch it now."""
    team = version.dataset.project.team
    try:
        expected = estimate(dataset_version=version, request=request)
    except (CannotLaunch, InTrash) as refusal:
        return LaunchPreview(None, "Cannot launch", [refusal.sentence])
    if team.frozen_at:
        return LaunchPreview(expected, "This team is suspended", [TeamSuspended.sentence])
    if not has_permission(viewer, team, "write"):
        return LaunchPreview(expected, "Your role may not launch")
    if expected.inspection is not None and expected.inspection.refusal is not None:
        return LaunchPreview(expected, "The data cannot be learnt from", expected.reasons)
    if not expected.fits:
        return LaunchPreview(expected, "Does not fit in memory", expected.reasons)
    if not expected.allowed:
        return LaunchPreview(expected, "Not allowed now", expected.reasons)
    return LaunchPreview(expected, "")


def find_ready_version(
    viewer: object, dataset_id: object, number: str | None = None
) -> DatasetVersion:
    """The dataset's newest ready version, or the one with this number; 404 for strangers.

    Raises DatasetNotReady while there is none.
    """
    dataset = get_object_or_404(Dataset.objects.visible_to(viewer), pk=dataset_id)
    versions = dataset.versions.select_related("dataset__project__team")
    if (version_number := parse_digits(number or "", 8)) is not None:
        version = get_object_or_404(versions, number=version_number)
        if version.status != ImportStatus.READY:
            raise DatasetNotReady
        return version
    return newest_ready_version(dataset)


def find_version(dataset: Dataset, version_id: UUID) -> DatasetVersion:
    """The dataset's version with this id; 404 for others. Raises DatasetNotReady."""
    versions = dataset.versions.select_related("dataset__project__team")
    version = get_object_or_404(versions, pk=version_id)
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    return version


def newest_ready_version(dataset: Dataset) -> DatasetVersion:
    """The version that a launch without a number takes. Raises DatasetNotReady without one."""
    versions = dataset.versions.select_related("dataset__project__team")
    newest = versions.ready().order_by("-number").first()
    if newest is not None:
        return newest
    latest = versions.order_by("-number").first()
    if latest is not None and latest.status == ImportStatus.FAILED:
        raise CannotLaunch(f"This dataset was not imported: {latest.failure_sentence}")
    raise DatasetNotReady


def proposed_request(version: DatasetVersion, number: int) -> LaunchRequest | None:
    """The form filled in as the import proposes, by the proposal's place in its list."""
    proposals = version.profile.get("proposals") or []
    if not 0 <= number < len(proposals):
        return None
    task = proposals[number]["task"]
    columns = SPEC_CLASSES[task].from_suggestion(proposals[number])
    return LaunchRequest(task=task, columns=_existing_columns(version, task, columns))


def initial_request(
    version: DatasetVersion, copied_job: TrainingJob | None, task: str | None = None
) -> LaunchRequest:
    """What the form starts with: an earlier job's settings, else the given or suggested task with
    the suggested columns."""
    if copied_job is None:
        task = task or suggested_task(version)
        suggested = SPEC_CLASSES[task].from_suggestion(version.profile.get("suggested") or {})
        return LaunchRequest(task=task, columns=_existing_columns(version, task, suggested))
    return LaunchRequest(
        task=copied_job.task,
        name=f"{copied_job.name} again"[:120],
        columns=_existing_columns(version, copied_job.task, copied_job.recipe),
        base_model=copied_job.base_model,
        initial_model=copied_job.initial_model,
        hyperparameters=copied_job.recipe.get("hyperparameters") or {},
        search=copied_job.recipe.get("search"),
        split=copied_job.recipe.get("split") or {},
        compute=copied_job.compute_class_id,
        time_limit_seconds=copied_job.time_limit_seconds,
    )


def _existing_columns(version: DatasetVersion, task: str, recipe: Mapping[str, object]) -> Columns:
    """The recipe's columns by role, without those that this version of the data lacks."""
    names = {column["name"] for column in version.columns}
    return {
        role.field: [name for name in role.columns_in(recipe) if name in names]
        for role in SPEC_CLASSES[task].roles
    }
