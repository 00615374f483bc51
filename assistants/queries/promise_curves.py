"""What a version's held-out questions say of other promises, and of other shares of questions that
nobody could answer: the chart and the sentence of the measure page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 240.0, 140.0
Point = Mapping[str, float]


@dataclass(frozen=True)
class Chart:
    """Across: the share answered alone. Up: the share that is right among them, from `lowest`."""

    line: str
    band: str  # Between that share and its bound.
    before: str  # The line of the version that is live.
    dot: tuple[float, float] | None
    promise_at: float
    lowest: float


def reweigh(point: Point, measured_share: float, share: float) -> dict[str, float]:
    """The point if so many questions were out of scope. Its bound lies as far below as before:
    an estimate, as only measuring fits a threshold."""
    right = point["precision"] * point["answered"] / (1 - measured_share)  # Of those in scope.
    answered = (1 - share) * point["answered_in_scope"]
    answered += share * (1 - point["refused_out_of_scope"])
    precision = min(1.0, (1 - share) * right / answered) if answered else 1.0
    bound = max(0.0, precision - (point["precision"] - point["bound"]))
    return {**point, "answered": answered, "precision": precision, "bound": bound}


def best_point(curve: Sequence[Point], promise: float) -> Point | None:
    """The threshold that answers most of those whose bound reaches the promise."""
    points = [point for point in curve if point["bound"] >= promise]
    return max(points, key=lambda point: point["answered"]) if points else None


def draw(curve: Sequence[Point], before: Sequence[Point], promise: float) -> Chart | None:
    """None where nothing was measured."""
    rows = _by_answered(curve)
    if not rows:
        return None
    lowest = min((one["bound"] for one in rows if one["answered"] > 0.01), default=0.8)
    lowest = max(0.0, int(min(0.8, lowest) * 20) / 20)
    upper = [_place(point["answered"], point["precision"], lowest) for point in rows]
    lower = [_place(point["answered"], point["bound"], lowest) for point in rows]
    chosen = best_point(curve, promise)
    earlier = [_place(p["answered"], p["precision"], lowest) for p in _by_answered(before)]
    return Chart(
        line=_joined(upper),
        band=_joined([*upper, *reversed(lower)]),
        before=_joined(earlier),
        dot=_place(chosen["answered"], chosen["precision"], lowest) if chosen else None,
        promise_at=_place(0.0, promise, lowest)[1],
        lowest=lowest,
    )


def _by_answered(curve: Sequence[Point]) -> list[Point]:
    return sorted((one for one in curve if one["answered"] > 0), key=lambda one: one["answered"])


def _place(across: float, up: float, lowest: float) -> tuple[float, float]:
    height = (1 - max(up, lowest)) / (1 - lowest) * HEIGHT
    return round(across * WIDTH, 1), round(height, 1)


def _joined(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across},{down}" for across, down in places)


def rounded(point: Point | None) -> dict[str, object]:
    """Of a hundred customers."""
    if point is None:
        return {"point": None}
    answered = round(point["answered"] * 100)
    return {
        "point": point,
        "answered": answered,
        "wrong": max(1, round(answered * (1 - point["precision"]))) if answered else 0,
        "others": 100 - answered,
    }
