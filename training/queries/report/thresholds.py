"""The precision, recall and cost of answering only above a threshold, and their curves."""

from dataclasses import dataclass

from training.artifacts.thresholds import STEPS, ThresholdCounts
from training.queries.svg_plots import HEIGHT, WIDTH

DEFAULT_PLACE = STEPS // 2


@dataclass(frozen=True)
class ThresholdOutcome:
    """The effect of one threshold on the test rows; a share of no rows is None."""

    threshold: float
    precision: float | None  # Of what is answered, the share that is right.
    recall: float | None  # Of the label's rows, the share found; of all rows, the share answered.
    right: int
    wrong: int
    missed: int
    cost: float  # Per 1,000 rows.


def outcome_at(
    counts: ThresholdCounts, place: int, cost_wrong: float, cost_missed: float
) -> ThresholdOutcome:
    right, wrong, missed = counts.points[place]
    answered = right + wrong
    reached, total = (right, right + missed) if counts.label else (answered, counts.rows)
    return ThresholdOutcome(
        threshold=place / STEPS,
        precision=right / answered if answered else None,
        recall=reached / total if total else None,
        right=right,
        wrong=wrong,
        missed=missed,
        cost=1000 * (wrong * cost_wrong + missed * cost_missed) / (counts.rows or 1),
    )


def cheapest_place(counts: ThresholdCounts, cost_wrong: float, cost_missed: float) -> int:
    """The place in `counts.points` of the threshold that costs least; of several equally cheap ones
    the middle, which stays cheapest longest when the rows change."""
    costs = [wrong * cost_wrong + missed * cost_missed for _, wrong, missed in counts.points]
    places = [place for place, cost in enumerate(costs) if cost == min(costs)]
    return places[len(places) // 2]


def served_place(counts: ThresholdCounts) -> int:
    """The place of the threshold with which answers are given now; the middle without one."""
    return DEFAULT_PLACE if counts.served is None else round(counts.served * STEPS)


def threshold_curves(counts: ThresholdCounts) -> tuple[str, str]:
    """Precision and recall over the threshold, as points of two SVG polylines."""
    outcomes = [outcome_at(counts, place, 0, 0) for place in range(STEPS + 1)]
    return (
        _svg_line([outcome.precision for outcome in outcomes]),
        _svg_line([outcome.recall for outcome in outcomes]),
    )


def _svg_line(values: list[float | None]) -> str:
    return " ".join(
        f"{place / STEPS * WIDTH:.1f},{HEIGHT - value * HEIGHT:.1f}"
        for place, value in enumerate(values)
        if value is not None
    )
