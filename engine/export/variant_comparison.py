"""Compares an exported variant with the model that it was made from: size, speed and predictions.

Both are timed on the same test rows in turns, so that other load on the machine slows both.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NotRequired

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from engine.errors import ExportRefused
from engine.evaluation.answer_types import get_answer_type
from engine.evaluation.rows import ModelPredictions
from engine.metrics.paired import Significance
from engine.metrics.shapes import GenerationPredictions
from engine.spec import ExportSpec
from engine.spec.exporting import FILE_ONLY_FORMATS

TIMED_ROWS, WARMUP_ROWS = 100, 5
LOWER_IS_BETTER_METRICS = ("rmse", "mae", "loss")  # Metrics of which less is better.


@dataclass(frozen=True)
class ModelVariant:
    """One of the two: its file, and its predictions on the test rows."""

    name: str
    file_bytes: int
    parameters: int | None
    predictions: ModelPredictions
    raw_outputs: npt.NDArray[Any]  # (rows, outputs), as the file computed them.
    predict_row: Callable[[int], object]  # Predicts one test row.


class VariantSide(TypedDict):
    name: str
    bytes: int
    parameters: int | None
    milliseconds: float
    quality: float | None


class PromptComparison(TypedDict):
    """One prompt of a language model: whether both choose the same next token."""

    prompt: str
    same: bool
    difference: float  # The largest between their logits.


class VariantComparison(TypedDict):
    """The report's section `card` of an export job."""

    format: str
    rows: int
    source: VariantSide
    made: VariantSide
    metric: str
    difference: float
    low: float | None
    high: float | None
    p_value: float
    method: str
    agreement: float | None
    largest_difference: float
    times_smaller: float
    times_quicker: float
    loss: float
    rule: str
    sentence: str
    prompts: NotRequired[list[PromptComparison]]  # Of language models.


def compare_variants(
    export: ExportSpec, source: ModelVariant, made: ModelVariant
) -> VariantComparison:
    """Raises ExportRefused if the variant is too much worse, or neither
    smaller nor quicker."""
    kind = get_answer_type(made.predictions)
    significance = kind.compare(made.predictions, source.predictions)
    source_seconds, made_seconds = _measure_latencies(source, made)
    card: VariantComparison = {
        "format": export.format,
        "rows": _count_rows(made.predictions),
        "source": _describe_variant(source, source_seconds),
        "made": _describe_variant(made, made_seconds),
        "metric": significance["metric"],
        "difference": significance["difference"],
        "low": significance["low"],
        "high": significance["high"],
        "p_value": significance["p_value"],
        "method": significance["method"],
        "agreement": _answer_agreement(source, made),
        "largest_difference": float(np.abs(source.raw_outputs - made.raw_outputs).max(initial=0.0)),
        "times_smaller": source.file_bytes / made.file_bytes,
        "times_quicker": source_seconds / max(1e-9, made_seconds),
        "loss": _quality_loss(significance, source.predictions),
        "rule": f"worse by {export.largest_loss:.1%} at most on the test rows",
        "sentence": "",
    }
    _validate_improvement(export, card)
    card["sentence"] = _format_sentence(card)
    return card


def _count_rows(predictions: ModelPredictions) -> int:
    if isinstance(predictions, GenerationPredictions):
        return len(predictions.references)
    return len(predictions.true)


def _describe_variant(side: ModelVariant, seconds: float) -> VariantSide:
    kind = get_answer_type(side.predictions)
    measured = kind.measure(side.predictions, {kind.main_metric})
    quality = next((measure["value"] for measure in measured), None)
    return {
        "name": side.name,
        "bytes": side.file_bytes,
        "parameters": side.parameters,
        "milliseconds": seconds * 1000,
        "quality": quality,
    }


def _measure_latencies(source: ModelVariant, made: ModelVariant) -> tuple[float, float]:
    """Median seconds for one row of each, timed in turns."""
    count = len(made.raw_outputs)
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(WARMUP_ROWS + min(TIMED_ROWS, count)):
        for own, side in zip(times, (source, made), strict=True):
            started_at = time.perf_counter()
            side.predict_row(turn % count)
            own.append(time.perf_counter() - started_at)
    one, other = (statistics.median(own[WARMUP_ROWS:]) for own in times)
    return one, other


def _answer_agreement(source: ModelVariant, made: ModelVariant) -> float | None:
    """Share of rows with the same prediction; None for numbers and texts."""
    own, theirs = (getattr(side.predictions, "predicted", None) for side in (made, source))
    if own is None or theirs is None or own.dtype.kind == "f":
        return None
    same = own == theirs
    return float(same.all(axis=1).mean() if same.ndim > 1 else same.mean())


def _quality_loss(significance: Significance, source: ModelPredictions) -> float:
    """How much worse, as a share: the loss in accuracy, or the relative growth of an error."""
    if significance["metric"] not in LOWER_IS_BETTER_METRICS:
        return -float(significance["difference"])
    kind = get_answer_type(source)
    measured = kind.measure(source, {significance["metric"]})
    before = next((measure["value"] for measure in measured if measure["value"]), 1e-12)
    return float(significance["difference"] / before)


def _validate_improvement(export: ExportSpec, card: VariantComparison) -> None:
    if card["loss"] > export.largest_loss:
        raise ExportRefused(
            f"The {export.format} model is worse by {card['loss']:.1%} on the test rows; at most"
            f" {export.largest_loss:.1%} was allowed. The original stays as it is. Allow more,"
            " remove less, or let it learn for more epochs."
        )
    is_better = card["times_smaller"] > 1 or card["times_quicker"] > 1
    if export.format not in FILE_ONLY_FORMATS and not is_better:
        raise ExportRefused(
            f"The {export.format} model is neither smaller nor quicker than the original, so it"
            " was not kept. Keep fewer neurons or layers."
        )


def _format_sentence(card: VariantComparison) -> str:
    size = _format_ratio(card["times_smaller"], "smaller", "larger", "as large")
    speed = _format_ratio(card["times_quicker"], "quicker", "slower", "as quick")
    loss, quality = card["loss"], "as good"
    if abs(loss) >= 0.0005:
        quality = f"{abs(loss):.1%} {'worse' if loss > 0 else 'better'}"
    metric = card["metric"].replace("_", " ")
    size = size[0].upper() + size[1:]
    rows = card["rows"]
    return (
        f"{size} and {speed}; {quality} on {'1 test row' if rows == 1 else f'{rows:,} test rows'}"
        f" ({metric})."
    )


def _format_ratio(ratio: float, more: str, less: str, equal: str) -> str:
    if 0.95 < ratio < 1.05:
        return equal
    return f"{ratio:.1f}× {more}" if ratio > 1 else f"{1 / ratio:.1f}× {less}"
