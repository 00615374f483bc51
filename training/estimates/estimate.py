"""What a checked recipe will take on a machine, and whether its team may have it."""

from dataclasses import dataclass, replace

from accounts.models import Team
from billing.budgets.budget import get_budget
from billing.models import Rate
from billing.money import MICRO_PER_CENT, amount_micro
from engine.estimate import DatasetStats
from engine.estimate import estimate as engine_estimate
from engine.spec import TrainingSpec
from engine.tasks.inspection import Inspection
from projects.models import DatasetVersion
from training.errors import CannotLaunch, OverBudget, TeamSuspended
from training.estimates import calibration
from training.models import ComputeClass
from web.browser.page_memo import once_per_page


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
    inspection: Inspection | None = None  # What the job would read; None where not looked at.

    @property
    def announced_micro(self) -> int:
        """What people and programs are told it costs at most, in whole cents: finer would claim
        more than is known, and a job of a tenth of a cent would stop to ask for another tenth."""
        return -(-self.cost_high_micro // MICRO_PER_CENT) * MICRO_PER_CENT

    @property
    def as_stored(self) -> dict[str, float]:
        """What a job's row keeps of it."""
        return {
            "seconds": self.seconds,
            "seconds_low": self.seconds_low,
            "seconds_high": self.seconds_high,
            "cost_low_micro": self.cost_low_micro,
            "cost_high_micro": self.announced_micro,
            "memory_bytes": self.memory_bytes,
        }


def format_cost_range(low_micro: int | None, high_micro: int | None) -> str:
    """In whole cents, rounded outwards: finer would claim more than is known. Empty for None."""
    if low_micro is None or high_micro is None:
        return ""
    low, high = low_micro // MICRO_PER_CENT, max(1, -(-high_micro // MICRO_PER_CENT))
    return f"${low / 100:.2f} – ${high / 100:.2f}" if low else f"up to ${high / 100:.2f}"


def estimate_job(
    version: DatasetVersion, spec: TrainingSpec, compute_class: ComputeClass
) -> Estimate:
    """Time, money and memory of a job with this spec."""
    columns = {column["name"]: column for column in version.profile.get("columns", [])}
    expected = engine_estimate(
        spec,
        DatasetStats(rows=version.rows or 0, columns=columns),
        device="cuda" if compute_class.device == "cuda" else "cpu",
        memory_limit_bytes=compute_class.memory_bytes,
        slowness=calibration.speed_ratio_range(compute_class, spec.task),
    )
    low, high = (
        _cost_micro(compute_class, seconds)
        for seconds in (expected.seconds_low, expected.seconds_high)
    )
    reasons = _over_budget_reasons(version.dataset.project.team, low)
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


def with_inspection(expected: Estimate, inspection: Inspection | None) -> Estimate:
    """The estimate, not allowed where the job would refuse its data."""
    if inspection is None or inspection.refusal is None:
        return replace(expected, inspection=inspection)
    reasons = [inspection.refusal.sentence, *expected.reasons]
    return replace(expected, allowed=False, reasons=reasons, inspection=inspection)


def require_launch_allowed(team: Team, expected: Estimate) -> None:
    """Raises TeamSuspended, CannotLaunch or OverBudget."""
    if team.frozen_at:
        raise TeamSuspended
    if not expected.fits:
        raise CannotLaunch(expected.sentence, param="compute")
    if not expected.allowed:
        raise OverBudget(" ".join(expected.reasons))


@once_per_page
def offered_machines() -> list[ComputeClass]:
    """In the order in which people choose from them."""
    return list(ComputeClass.objects.filter(is_offered=True).order_by("order", "code"))


def find_compute_class(code: str | None) -> ComputeClass:
    offered = offered_machines()
    chosen = next((machine for machine in offered if code in (machine.code, None, "")), None)
    if chosen is None:
        codes = ", ".join(machine.code for machine in offered) or "none"
        raise CannotLaunch(f"There is no compute {code!r}. Offered: {codes}.", param="compute")
    return chosen


def _cost_micro(compute_class: ComputeClass, seconds: float) -> int:
    nano = _nano_per_unit(compute_class.code)
    return amount_micro(int(seconds * 1000) * compute_class.devices, nano)


@once_per_page
def _nano_per_unit(sku: str) -> int:
    return Rate.objects.current(sku).nano_per_unit


def _over_budget_reasons(team: Team, lowest_cost: int) -> list[str]:
    budget = get_budget(team)
    left_micro = budget.left_micro
    if left_micro is None or lowest_cost <= left_micro:
        return []
    return [
        f"The estimate starts at ${lowest_cost / 1e6:.4f}, but only ${left_micro / 1e6:.4f} is"
        f" left {'of the credit' if budget.is_prepaid else 'under this month’s spend cap'}. "
        f"{budget.advice}"
    ]
