"""The report in plain words: did tuning help, by how much, how sure is that, what to do next."""

from collections import Counter
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from engine.evaluation.rows import Given, TestRows
from engine.evaluation.schema import Baseline, Verdict
from engine.metrics.measures import Measure
from engine.metrics.paired import Significance
from engine.metrics.shapes import Answers, Numbers

SURE = 0.05
WIDE = 0.10  # An interval wider than this share of the scale says little.
FEW_ROWS = 100
UNEVEN = 0.8
OPENING: dict[Verdict, str] = {
    "helped": "Tuning helped",
    "hurt": "Tuning hurt",
    "no_difference": "No difference that could not be chance",
    "unknown": "Not compared with anything",
}
TRIVIAL = ("majority", "mean")
NAMES = {
    "accuracy": "accuracy",
    "micro_f1": "micro F1",
    "rmse": "root mean squared error",
    "loss": "loss of a token",
    "rougeL": "ROUGE-L",
}


class Conclusion(TypedDict):
    headline: str
    verdict: Verdict
    sure: str
    next_step: str
    probe_sentence: str


def value_of(measured: list[Measure], name: str) -> Measure:
    return next(metric for metric in measured if metric["name"] == name)


def conclusion(metric: str, measured: list[Measure], compared: list[Baseline]) -> Conclusion:
    """The verdict is against the best contender that is not this base model with a frozen body:
    guessing, a classic model, or the untuned base model."""
    rivals = [one for one in compared if one["id"] != "probe"]
    own = value_of(measured, metric)
    best = _best_of(rivals, metric)
    verdict = verdict_of(best["significance"], own["better"]) if best else "unknown"
    return {
        "headline": _headline(verdict, own, rivals),
        "verdict": verdict,
        "sure": _sureness(own, best) if best else "",
        "probe_sentence": _probe_sentence(compared, own),
        "next_step": _next_step(verdict, best, own, compared),
    }


def _best_of(rivals: list[Baseline], metric: str) -> Baseline | None:
    known = [one for one in rivals if value_of(one["metrics"], metric)["value"] is not None]

    def goodness(one: Baseline) -> float:
        found = value_of(one["metrics"], metric)
        value = found["value"] or 0.0
        return value if found["better"] == "up" else -value

    return max(known, key=goodness, default=None)


def verdict_of(significance: Significance, better: str) -> Verdict:
    """Whether the first of the two is better, worse, or not surely either."""
    if significance["p_value"] >= SURE or not significance["difference"]:
        return "no_difference"
    return "helped" if (significance["difference"] > 0) == (better == "up") else "hurt"


def _headline(verdict: Verdict, own: Measure, rivals: list[Baseline]) -> str:
    name = NAMES.get(own["name"], own["title"])
    if own["value"] is None:
        return f"{OPENING[verdict]}: the {name} is not defined on these test rows."
    said = f"{OPENING[verdict]}: {name} {shown(own, own['value'])}"
    if own["low"] is not None and own["high"] is not None:
        said += f" (95% CI {_range(own, own['low'], own['high'])})"
    others = " and ".join(
        f"{shown(own, value)} for {one['name']}"
        for one in sorted(rivals, key=lambda one: one["id"] in TRIVIAL)
        if (value := value_of(one["metrics"], own["name"])["value"]) is not None
    )
    return f"{said} against {others}." if others else f"{said}."


def shown(metric: Measure, value: float) -> str:
    """A share as a percentage, a number with as many digits as tell something."""
    if metric["share"]:
        return f"{value:.1%}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


def _range(metric: Measure, low: float, high: float) -> str:
    if metric["share"]:
        return f"{100 * low:.1f}–{100 * high:.1f}"
    return f"{shown(metric, low)}–{shown(metric, high)}"


def _sureness(own: Measure, best: Baseline) -> str:
    """By how much, and how sure."""
    found = best["significance"]
    gap = abs(found["difference"])
    better = (found["difference"] > 0) == (own["better"] == "up")
    if not gap:
        return f"It does exactly as well as {best['name']}."
    size = f"{100 * gap:.1f} points" if own["share"] else shown(own, gap)
    words = f"It is {size} {'better' if better else 'worse'} than {best['name']}"
    # Where the test is not sure, an interval clear of zero would only contradict it.
    if found["p_value"] < SURE and found["low"] is not None and found["high"] is not None:
        ends = sorted((abs(found["low"]), abs(found["high"])))
        if found["low"] * found["high"] > 0:
            words += f" (95% CI {_gap(own, ends[0])} to {_gap(own, ends[1])})"
    return f"{words}. {_chance(found['p_value'])}"


def _gap(metric: Measure, size: float) -> str:
    return f"{100 * size:.1f}" if metric["share"] else shown(metric, size)


def _chance(p_value: float) -> str:
    if p_value < 0.001:
        return "That is practically certain to be no chance (p < 0.001)."
    if p_value < SURE:
        return f"That is unlikely to be chance (p = {p_value:.2g})."
    return f"That may well be chance (p = {p_value:.2g}): treat the two as equal."


def _probe_sentence(compared: list[Baseline], own: Measure) -> str:
    probe = next((one for one in compared if one["id"] == "probe"), None)
    value = value_of(probe["metrics"], own["name"])["value"] if probe else None
    if probe is None or value is None:
        return ""
    outcome = {
        "helped": "fine-tuning is better",
        "hurt": "fine-tuning is worse",
        "no_difference": "the difference may be chance",
    }[verdict_of(probe["significance"], own["better"])]
    p_value = probe["significance"]["p_value"]
    return (
        f"The same base model, frozen, with a linear layer reaches {shown(own, value)}:"
        f" {outcome} (p = {p_value:.2g})."
    )


def _next_step(
    verdict: Verdict, best: Baseline | None, own: Measure, compared: list[Baseline]
) -> str:
    if best is None:
        return "Train a second model on the same data and compare the two."
    if verdict == "hurt":
        return (
            f"{_capital(best['name'])} does better: look at the worst rows for wrong labels, then"
            " train longer or with another base model."
        )
    if _is_wide(own):
        return "Add labelled rows: with so few test rows the true value may be far from this."
    if verdict == "no_difference":
        return (
            f"{_capital(best['name'])} is as good here; add rows or a larger base model, or use it."
        )
    probe = next((one for one in compared if one["id"] == "probe"), None)
    if probe and verdict_of(probe["significance"], own["better"]) != "helped":
        return (
            "The quick probe is about as good and trains in a fraction of the time: use it for"
            " experiments, and read the worst rows before adding more."
        )
    return _advice(own)


def _advice(own: Measure) -> str:
    if own["name"] == "accuracy":
        return "Read the most confused pairs of labels: clearer labels there gain more than tuning."
    if own["name"] == "rmse":
        return "Look at the ranges with the largest error: more rows there gain more than tuning."
    if own["name"] in ("loss", "rougeL"):
        return "Read the samples beside the base model's: more examples of the weak kind gain most."
    return "Read the labels with the lowest F1: more and clearer rows there gain more than tuning."


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _is_wide(own: Measure) -> bool:
    if not own["share"] or own["low"] is None or own["high"] is None:
        return False
    return own["high"] - own["low"] > WIDE


def cautions(given: Given, rows: TestRows) -> list[str]:
    """What a reader must know before believing the numbers."""
    found = []
    if len(rows.source_rows) < FEW_ROWS:
        found.append(f"Only {len(rows.source_rows)} test rows: read the intervals, not the values.")
    if isinstance(given, Answers):
        found += _about_labels(given, rows)
    if isinstance(given, Numbers) and np.ptp(given.true) == 0:
        found.append("The target never varies on the test rows: errors say little.")
    return found


def _about_labels(given: Answers, rows: TestRows) -> list[str]:
    counts: Counter[int] = Counter(given.true.tolist())
    found = []
    label, most = counts.most_common(1)[0]
    share = most / len(given.true)
    if share >= UNEVEN and len(counts) > 1:
        found.append(
            f"{share:.0%} of the test rows are {rows.label_names[label]!r}: accuracy flatters every"
            " model here. Judge by balanced accuracy, macro F1 and ROC AUC."
        )
    absent = [name for index, name in enumerate(rows.label_names) if index not in counts]
    if absent:
        named: Any = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
        found.append(f"{len(absent):,} labels have no test row and were not tested: {named}.")
    return found
