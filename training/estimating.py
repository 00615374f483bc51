"""What a checked recipe will take on a machine, and whether its team may have it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from accounts.models import Team
from billing import budget as budgets
from billing.models import Rate
from billing.money import amount_micro
from engine.estimate import DataFacts
from engine.estimate import estimate as engine_estimate
from engine.spec import SPECS, TrainingSpec, parse_spec, place_of
from projects.models import DatasetVersion
from training import calibration
from training.errors import CannotLaunch, OverBudget, TeamFrozen
from training.models import ComputeClass


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

    @property
    def promise(self) -> dict[str, float]:
        """What a job's row keeps of it."""
        return {
            "seconds": self.seconds,
            "seconds_low": self.seconds_low,
            "seconds_high": self.seconds_high,
            "cost_low_micro": self.cost_low_micro,
            "cost_high_micro": self.cost_high_micro,
            "memory_bytes": self.memory_bytes,
        }


def estimate_of(
    version: DatasetVersion, spec: TrainingSpec, compute_class: ComputeClass
) -> Estimate:
    """Time, money and memory of a job with this spec."""
    columns = {column["name"]: column for column in version.profile.get("columns", [])}
    expected = engine_estimate(
        spec,
        DataFacts(rows=version.rows or 0, columns=columns),
        device="cuda" if compute_class.device == "cuda" else "cpu",
        memory_limit_bytes=compute_class.memory_bytes,
        slowness=calibration.slowness(compute_class, spec.task),
    )
    low, high = (
        _cost(compute_class, seconds) for seconds in (expected.seconds_low, expected.seconds_high)
    )
    reasons = _money_reasons(version.dataset.project.team, low)
    if not expected.fits:
        reasons.append(expected.sentence)
    return Estimate(
        fits=expected.fits,
        allowed=not reasons,
        seconds=expected.seconds,
        seconds_low=int(expected.seconds_low),
        seconds_high=int(expected.seconds_high),
        cost_low_micro=low,
        cost_high_micro=high,
        memory_bytes=expected.memory_bytes,
        available_bytes=compute_class.memory_bytes,
        reasons=reasons,
        sentence=expected.sentence,
    )


def refuse_unless_allowed(team: Team, expected: Estimate) -> None:
    """Raises TeamFrozen, CannotLaunch or OverBudget."""
    if team.frozen_at:
        raise TeamFrozen
    if not expected.fits:
        raise CannotLaunch(expected.sentence, param="compute")
    if not expected.allowed:
        raise OverBudget(" ".join(expected.reasons))


def validated(recipe: dict[str, Any]) -> TrainingSpec:
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


def compute_class_of(code: str | None) -> ComputeClass:
    offered = ComputeClass.objects.filter(is_offered=True).order_by("order", "code")
    chosen = offered.filter(code=code).first() if code else offered.first()
    if chosen is None:
        codes = ", ".join(offered.values_list("code", flat=True)) or "none"
        raise CannotLaunch(f"There is no compute {code!r}. Offered: {codes}.", param="compute")
    return chosen


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
