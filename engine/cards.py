"""The card of an exported variant: size, speed and answers beside those of the model it came from.

Both are asked the same test rows one after the other in turns, so that a busy machine slows both.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ExportRefused
from engine.evaluation.kinds import kind_of
from engine.evaluation.rows import Given
from engine.spec import ExportSpec
from engine.spec.exporting import UNCHANGED

TIMED_ROWS, WARMING_ROWS = 100, 5
ERRORS = ("rmse", "mae", "loss")  # Metrics of which less is better.


@dataclass(frozen=True)
class Side:
    """One of the two: the file that answers, and what it answered on the test rows."""

    name: str
    file_bytes: int
    parameters: int | None
    given: Given
    raw: npt.NDArray[Any]  # (rows, outputs), as the file computed them.
    ask: Callable[[int], object]  # Answers one test row.


def card_of(export: ExportSpec, source: Side, made: Side) -> dict[str, Any]:
    """The card. Raises ExportRefused when the variant is not worth having."""
    kind = kind_of(made.given)
    significance = kind.compare(made.given, source.given)
    seconds = _side_by_side(source, made)
    sides = [_about(side, each) for side, each in zip((source, made), seconds, strict=True)]
    loss = _loss(significance, source.given)
    card: dict[str, Any] = {
        "format": export.format,
        "rows": len(getattr(made.given, "true", getattr(made.given, "references", made.raw))),
        "source": sides[0],
        "made": sides[1],
        "metric": significance["metric"],
        "difference": significance["difference"],
        "low": significance["low"],
        "high": significance["high"],
        "p_value": significance["p_value"],
        "method": significance["method"],
        "agreement": _agreement(source, made),
        "largest_difference": float(np.abs(source.raw - made.raw).max(initial=0.0)),
        "times_smaller": source.file_bytes / made.file_bytes,
        "times_quicker": seconds[0] / max(1e-9, seconds[1]),
        "loss": loss,
        "rule": f"worse by {export.largest_loss:.1%} at most on the test rows",
    }
    _refuse_if_useless(export, card)
    return card | {"sentence": _sentence(card)}


def _about(side: Side, seconds: float) -> dict[str, Any]:
    kind = kind_of(side.given)
    measured = kind.measure(side.given, {kind.headline})
    quality = next((one["value"] for one in measured), None)
    return {
        "name": side.name,
        "bytes": side.file_bytes,
        "parameters": side.parameters,
        "milliseconds": seconds * 1000,
        "quality": quality,
    }


def _side_by_side(source: Side, made: Side) -> tuple[float, float]:
    """Median seconds of one row, in turns."""
    count = len(made.raw)
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(WARMING_ROWS + min(TIMED_ROWS, count)):
        for own, side in zip(times, (source, made), strict=True):
            started_at = time.perf_counter()
            side.ask(turn % count)
            own.append(time.perf_counter() - started_at)
    one, other = (statistics.median(own[WARMING_ROWS:]) for own in times)
    return one, other


def _agreement(source: Side, made: Side) -> float | None:
    """Share of rows with the same answer; of numbers there is none."""
    own, theirs = (getattr(side.given, "predicted", None) for side in (made, source))
    if own is None or theirs is None or own.dtype.kind == "f":
        return None
    same = own == theirs
    return float(same.all(axis=1).mean() if same.ndim > 1 else same.mean())


def _loss(significance: Any, source: Given) -> float:
    """How much worse, as a share: points of accuracy, or growth of an error."""
    if significance["metric"] not in ERRORS:
        return -float(significance["difference"])
    kind = kind_of(source)
    measured = kind.measure(source, {significance["metric"]})
    before = next((one["value"] for one in measured if one["value"]), 1e-12)
    return float(significance["difference"] / before)


def _refuse_if_useless(export: ExportSpec, card: dict[str, Any]) -> None:
    if card["loss"] > export.largest_loss:
        raise ExportRefused(
            f"The {export.format} model is worse by {card['loss']:.1%} on the test rows; at most"
            f" {export.largest_loss:.1%} was allowed. The original stays as it is. Allow more,"
            " remove less, or let it learn for more epochs."
        )
    is_better = card["times_smaller"] > 1 or card["times_quicker"] > 1
    if export.format not in UNCHANGED and not is_better:
        raise ExportRefused(
            f"The {export.format} model is neither smaller nor quicker than the original, so it"
            " was not kept. Keep fewer neurons or layers."
        )


def _sentence(card: dict[str, Any]) -> str:
    size, speed = card["times_smaller"], card["times_quicker"]
    size_words = _times(size, "smaller", "larger", "as large")
    speed_words = _times(speed, "quicker", "slower", "as quick")
    worse = card["loss"]
    change = "as good" if abs(worse) < 0.0005 else f"{abs(worse):.1%} "
    if abs(worse) >= 0.0005:
        change += "worse" if worse > 0 else "better"
    metric = str(card["metric"]).replace("_", " ")
    sizes = size_words[0].upper() + size_words[1:]
    return f"{sizes} and {speed_words}; {change} on {card['rows']:,} test rows ({metric})."


def _times(ratio: float, more: str, less: str, equal: str) -> str:
    if 0.95 < ratio < 1.05:
        return equal
    return f"{ratio:.1f}× {more}" if ratio > 1 else f"{1 / ratio:.1f}× {less}"
