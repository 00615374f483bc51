"""The report on the untouched test rows: how good, better than what, and where it fails."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import metrics
from engine.metrics import Answers

LARGEST_FULL_MATRIX = 50
SHOWN_ROWS = 10
SHOWN_PAIRS = 30
LENGTH_SLICES = ("shortest third", "middle third", "longest third")
SURE = 0.05


@dataclass(frozen=True)
class Contender:
    """Something tuning is compared with, and its answers on the same rows."""

    id: str
    name: str
    answers: Answers
    note: str = ""


@dataclass(frozen=True)
class TestRows:
    """What was asked: texts, token counts and row numbers of the data file."""

    texts: list[str]
    lengths: list[int]
    source_rows: list[int]
    label_names: list[str]


def evaluate(given: Answers, rows: TestRows, contenders: list[Contender]) -> dict[str, Any]:
    """All of the report that follows from the answers alone."""
    measured = metrics.measure(given)
    compared = [_against(given, contender) for contender in contenders]
    return {
        "format": 1,
        **conclusion(measured, compared),
        "metrics": measured,
        "baselines": compared,
        "per_class": metrics.per_class(given, rows.label_names),
        "confusion": confusion(given, rows.label_names),
        "calibration": {"bins": metrics.calibration_bins(given)},
        "slices": length_slices(given, rows.lengths),
        "examples": examples(given, rows),
    }


def _against(given: Answers, contender: Contender) -> dict[str, Any]:
    other = contender.answers
    measured = metrics.measure(other)
    return {
        "id": contender.id,
        "name": contender.name,
        "note": contender.note,
        "metrics": [m for m in measured if m["name"] in ("accuracy", "macro_f1", "log_loss")],
        "significance": metrics.compare(given.predicted, other.predicted, given.true),
    }


def value_of(measured: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(metric for metric in measured if metric["name"] == name)


def conclusion(measured: list[dict[str, Any]], compared: list[dict[str, Any]]) -> dict[str, Any]:
    """Headline, verdict and next step. The verdict is against the best model without tuning
    of this base model: guessing, or words with a linear model."""
    simple = [one for one in compared if one["id"] != "probe"]
    best = max(simple, key=lambda one: value_of(one["metrics"], "accuracy")["value"])
    verdict = _verdict(best["significance"])
    accuracy = value_of(measured, "accuracy")
    opening = {
        "helped": "Tuning helped",
        "hurt": "Tuning hurt",
        "no_difference": "No difference that could not be chance",
    }[verdict]
    others = " and ".join(
        f"{value_of(one['metrics'], 'accuracy')['value']:.1%} for {one['name']}"
        for one in sorted(simple, key=lambda one: one["id"] == "majority")
    )
    headline = (
        f"{opening}: accuracy {accuracy['value']:.1%} (95% CI {100 * accuracy['low']:.1f}–"
        f"{100 * accuracy['high']:.1f}) against {others}."
    )
    return {
        "headline": headline,
        "verdict": verdict,
        "probe_sentence": _probe_sentence(compared),
        "next_step": _next_step(verdict, best, measured, compared),
    }


def _verdict(significance: dict[str, Any]) -> str:
    if significance["p_value"] >= SURE:
        return "no_difference"
    won = significance["tuned_only_right"] > significance["other_only_right"]
    return "helped" if won else "hurt"


def _probe_sentence(compared: list[dict[str, Any]]) -> str:
    for one in compared:
        if one["id"] == "probe":
            accuracy = value_of(one["metrics"], "accuracy")["value"]
            outcome = {
                "helped": "fine-tuning is better",
                "hurt": "fine-tuning is worse",
                "no_difference": "the difference may be chance",
            }[_verdict(one["significance"])]
            p_value = one["significance"]["p_value"]
            return (
                f"The same base model, frozen, with a linear layer reaches {accuracy:.1%}:"
                f" {outcome} (p = {p_value:.2g})."
            )
    return ""


def _next_step(
    verdict: str,
    best: dict[str, Any],
    measured: list[dict[str, Any]],
    compared: list[dict[str, Any]],
) -> str:
    accuracy = value_of(measured, "accuracy")
    if verdict == "hurt":
        return (
            f"{best['name']} does better: look at the worst rows for wrong labels, then train"
            " longer or with another base model."
        )
    if accuracy["high"] - accuracy["low"] > 0.1:
        return "Add labelled rows: with so few test rows the true accuracy may be far from this."
    if verdict == "no_difference":
        return f"{best['name']} is as good here; add rows or a larger base model, or use it."
    probe = next((one for one in compared if one["id"] == "probe"), None)
    if probe and _verdict(probe["significance"]) == "no_difference":
        return (
            "The quick probe is about as good and trains in a fraction of the time: use it for"
            " experiments, and read the confused pairs of labels before adding rows."
        )
    return "Read the most confused pairs of labels: clearer labels there gain more than tuning."


def confusion(given: Answers, names: list[str]) -> dict[str, Any]:
    """The whole matrix (true by row) up to 50 labels; the most confused pairs always."""
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (given.true, given.predicted), 1)
    wrong = matrix * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN_PAIRS]
    pairs = [
        {"true": names[true], "predicted": names[predicted], "count": int(wrong[true, predicted])}
        for true, predicted in (np.unravel_index(place, wrong.shape) for place in order)
        if wrong[true, predicted]
    ]
    whole = matrix.tolist() if len(names) <= LARGEST_FULL_MATRIX else None
    return {"labels": names, "matrix": whole, "pairs": pairs}


def length_slices(given: Answers, lengths: list[int]) -> list[dict[str, Any]]:
    """The same metrics on the shortest, middle and longest texts."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    slices = []
    for name, part in zip(LENGTH_SLICES, np.array_split(order, 3), strict=True):
        if len(part):
            scores = metrics.averages(
                given.true[part], given.predicted[part], given.probabilities.shape[1]
            )
            slices.append(
                {
                    "name": name,
                    "tokens_from": int(lengths[part[0]]),
                    "tokens_to": int(lengths[part[-1]]),
                    "rows": len(part),
                    "accuracy": scores["accuracy"],
                    "macro_f1": scores["macro_f1"],
                }
            )
    return slices


def examples(given: Answers, rows: TestRows) -> dict[str, list[dict[str, Any]]]:
    """best: right and sure. worst: wrong and sure. confused: torn between two labels."""
    right, sureness = given.true == given.predicted, given.confidence
    first_two = np.sort(given.probabilities, axis=1)[:, -2:]
    margin = first_two[:, 1] - first_two[:, 0]

    def rows_by(order: Any, keep: Any) -> list[dict[str, Any]]:
        chosen = [int(row) for row in np.argsort(order, kind="stable") if keep[row]]
        return [_shown(given, rows, row) for row in chosen[:SHOWN_ROWS]]

    return {
        "best": rows_by(-sureness, right),
        "worst": rows_by(-sureness, ~right),
        "confused": rows_by(margin, np.ones_like(right)),
    }


def _shown(given: Answers, rows: TestRows, row: int) -> dict[str, Any]:
    second = int(np.argsort(given.probabilities[row])[-2])
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:2000],
        "true": rows.label_names[given.true[row]],
        "predicted": rows.label_names[given.predicted[row]],
        "probability": float(given.confidence[row]),
        "runner_up": rows.label_names[second],
        "runner_up_probability": float(given.probabilities[row, second]),
    }
