"""What a launch would take, as a page shows it before the button is live."""

from dataclasses import dataclass
from typing import Any

from django.shortcuts import get_object_or_404

from accounts.access import can
from accounts.models import User
from engine.spec import SPECS
from projects.errors import DatasetNotReady
from projects.models import Dataset, DatasetVersion, ImportStatus
from training.errors import CannotLaunch, TeamFrozen
from training.estimating import Estimate
from training.forms import LaunchForm
from training.launch import estimate, suggested_task
from training.models import TrainingJob

MICRO_PER_CENT = 10_000


@dataclass(frozen=True)
class Offer:
    """The three numbers (will it fit, how long, how much), or what is in the way."""

    estimate: Estimate | None
    blocker: str  # Short enough for the button; empty when it is live.
    reasons: list[str]

    @property
    def cost_words(self) -> str:
        """The cost in whole cents, rounded outwards: finer would claim more than is known."""
        if self.estimate is None:
            return ""
        low = self.estimate.cost_low_micro // MICRO_PER_CENT
        high = -(-self.estimate.cost_high_micro // MICRO_PER_CENT)
        return f"${low / 100:.2f} – ${high / 100:.2f}" if high > 1 else "under $0.01"

    @property
    def is_live(self) -> bool:
        return not self.blocker


def offer_for(form: LaunchForm, viewer: User) -> Offer:
    """Never raises for what the form holds: whatever is wrong becomes the blocker."""
    version = form.version
    team = version.dataset.project.team
    if not form.is_valid():
        return Offer(None, form.blocker, [])
    try:
        found = estimate(dataset_version=version, wanted=form.wanted())
    except CannotLaunch as refusal:
        return Offer(None, "Cannot launch", [refusal.sentence])
    if team.frozen_at:
        return Offer(found, "This team is on hold", [TeamFrozen.sentence])
    if not can(viewer, team, "write"):
        return Offer(found, "Your role may not launch", [])
    if not found.fits:
        return Offer(found, "Does not fit in memory", found.reasons)
    if not found.allowed:
        return Offer(found, "Not allowed now", found.reasons)
    return Offer(found, "", [])


def ready_version(viewer: object, dataset_id: object, number: str | None = None) -> DatasetVersion:
    """The dataset's newest ready version, or the one with this number; 404 for strangers.

    Raises DatasetNotReady while there is none.
    """
    dataset = get_object_or_404(Dataset.objects.visible_to(viewer), pk=dataset_id)
    versions = dataset.versions.select_related("dataset__project__team")
    if number and number.isascii() and number.isdigit() and len(number) < 9:
        version = get_object_or_404(versions, number=int(number))
        if version.status != ImportStatus.READY:
            raise DatasetNotReady
        return version
    return newest_ready(dataset)


def newest_ready(dataset: Dataset) -> DatasetVersion:
    """The version that a launch without a number takes. Raises DatasetNotReady without one."""
    versions = dataset.versions.select_related("dataset__project__team")
    newest = versions.ready().order_by("-number").first()
    if newest is not None:
        return newest
    latest = versions.order_by("-number").first()
    if latest is not None and latest.status == ImportStatus.FAILED:
        raise CannotLaunch(f"This dataset was not imported: {latest.failure_sentence}")
    raise DatasetNotReady


def first_choices(
    version: DatasetVersion, again: TrainingJob | None, wanted: str | None = None
) -> dict[str, Any]:
    """What the form starts with: an earlier job's settings, else the wanted or suggested task with
    the suggested columns."""
    task = again.task if again else wanted or suggested_task(version)
    suggested = version.profile.get("suggested") or {}
    chosen = again.recipe if again else SPECS[task].from_suggestion(suggested)
    return {
        "task": task,
        "name": f"{again.name} again"[:120] if again else "",
        "columns": _present(version, task, chosen),
        "base_model": again.base_model if again else "",
        "compute": again.compute_class_id if again else "",
        "time_limit_seconds": again.time_limit_seconds if again else None,
        "hyperparameters": chosen.get("hyperparameters") or {},
        "search": chosen.get("search"),
    }


def _present(version: DatasetVersion, task: str, chosen: dict[str, Any]) -> dict[str, list[str]]:
    """The chosen columns by role, without those that this version of the data lacks."""
    names = {column["name"] for column in version.columns}
    return {
        role.field: [name for name in role.named(chosen) if name in names]
        for role in SPECS[task].roles
    }
