"""The report's sentences: whether tuning helped, by how much, how sure that is, the next step."""

from collections import Counter

import numpy as np
from typing_extensions import TypedDict

from engine.data.target_outliers import describe_test_outliers
from engine.evaluation.rows import ModelPredictions, TestRows
from engine.evaluation.schema import BaselineResult, Verdict
from engine.metrics.measures import Measure
from engine.metrics.paired import Significance
from engine.metrics.shapes import MulticlassPredictions, RegressionPredictions

SIGNIFICANCE_LEVEL = 0.05
WIDE_INTERVAL = 0.10  # An interval wider than this share of the scale says little.
FEW_TEST_ROWS = 100
IMBALANCED_SHARE = 0.8
MIN_ROWS_PER_LABEL = 10
VERDICT_OPENINGS: dict[Verdict, str] = {
    "helped": "Tuning helped",
    "hurt": "Tuning hurt",
    "no_difference": "No clear gain",
    "unknown": "Not compared with anything",
}
CHANCE_AUC = 0.5
MIN_GAIN = 0.05  # Over a guess, in points or as a share of its error.
NO_SIGNAL = (
    "It is no better than a guess: as far as these rows show, the chosen columns do not tell the"
    " target."
)
NO_SIGNAL_STEP = (
    "Check that the right target was chosen, and add columns that have to do with it; more rows of"
    " these columns would hardly help."
)
TRIVIAL_BASELINES = ("majority", "mean")
# Each could have become the model: they are no baselines.
CANDIDATES = ("probe", "ngrams", "tuned")
METRIC_NAMES = {
    "accuracy": "accuracy",
    "micro_f1": "micro F1",
    "log_loss": "log loss, which is better when smaller,",
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


def find_measure(measured: list[Measure], name: str) -> Measure:
    return next(metric for metric in measured if metric["name"] == name)


def draw_conclusion(
    metric: str, measured: list[Measure], compared: list[BaselineResult], test_rows: int
) -> Conclusion:
    """Compares with the best baseline that was no candidate for the model itself."""
    rivals = [baseline for baseline in compared if baseline["id"] not in CANDIDATES]
    own = find_measure(measured, metric)
    best = _find_best_baseline(rivals, metric)
    verdict = decide_verdict(best["significance"], own["better"]) if best else "unknown"
    sure = _describe_certainty(own, best, test_rows) if best else ""
    next_step = _suggest_next_step(verdict, best, own, compared, test_rows)
    if no_signal := not _beats_guessing(measured, rivals, own):
        sure, next_step = NO_SIGNAL, NO_SIGNAL_STEP
    return {
        "headline": _format_headline(verdict, own, rivals, no_signal=no_signal),
        "verdict": verdict,
        "sure": sure,
        "probe_sentence": _format_probe_sentence(compared, own),
        "next_step": next_step,
    }


def _beats_guessing(measured: list[Measure], rivals: list[BaselineResult], own: Measure) -> bool:
    """Whether the model knows anything: it answers better than a guess, by much or by more than
    chance, or ranks better than chance. True where nothing was guessed."""
    guess = next((rival for rival in rivals if rival["id"] in TRIVIAL_BASELINES), None)
    if guess is None or decide_verdict(guess["significance"], own["better"]) == "helped":
        return True
    gain = guess["significance"]["difference"] * (1 if own["better"] == "up" else -1)
    scale = (
        1.0 if own["share"] else abs(find_measure(guess["metrics"], own["name"])["value"] or 0.0)
    )
    if gain >= MIN_GAIN * scale > 0:
        return True  # Too few rows to be sure of it, which is said elsewhere.
    ranking = next((one for one in measured if one["name"] == "roc_auc"), None)
    return ranking is not None and (ranking["low"] or 0.0) > CHANCE_AUC


def _find_best_baseline(rivals: list[BaselineResult], metric: str) -> BaselineResult | None:
    best, best_quality = None, float("-inf")
    for rival in rivals:
        measure = find_measure(rival["metrics"], metric)
        if measure["value"] is None:
            continue
        quality = measure["value"] if measure["better"] == "up" else -measure["value"]
        if best is None or quality > best_quality:
            best, best_quality = rival, quality
    return best


def decide_verdict(significance: Significance, better: str) -> Verdict:
    """Whether the first of the two is significantly better or worse."""
    if significance["p_value"] >= SIGNIFICANCE_LEVEL or not significance["difference"]:
        return "no_difference"
    return "helped" if (significance["difference"] > 0) == (better == "up") else "hurt"


def _format_headline(
    verdict: Verdict, own: Measure, rivals: list[BaselineResult], *, no_signal: bool
) -> str:
    name, opening = METRIC_NAMES.get(own["name"], own["title"]), VERDICT_OPENINGS[verdict]
    if no_signal:
        opening = "No signal found"
    if own["value"] is None:
        return f"{opening}: the {name} is not defined on these test rows."
    text = f"{opening}: {name} {format_value(own, own['value'])}"
    if own["low"] is not None and own["high"] is not None:
        if own["share"]:
            text += f" (95% CI {100 * own['low']:.1f}–{100 * own['high']:.1f})"
        else:
            text += f" (95% CI {format_value(own, own['low'])}–{format_value(own, own['high'])})"
    others = " and ".join(
        f"{format_value(own, value)} for {rival['name']}"
        for rival in sorted(rivals, key=lambda rival: rival["id"] in TRIVIAL_BASELINES)
        if (value := find_measure(rival["metrics"], own["name"])["value"]) is not None
    )
    return f"{text} against {others}." if others else f"{text}."


def format_value(metric: Measure, value: float) -> str:
    """A share as a percentage, any other number with the digits that matter."""
    if metric["share"]:
        return f"{value:.1%}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


def _describe_certainty(own: Measure, best: BaselineResult, test_rows: int) -> str:
    """By how much the model is better or worse than the best baseline, and how sure that is."""
    significance = best["significance"]
    gap = abs(significance["difference"])
    is_better = (significance["difference"] > 0) == (own["better"] == "up")
    if not gap:
        return f"It does exactly as well as {best['name']}."
    size = f"{100 * gap:.1f} points" if own["share"] else format_value(own, gap)
    text = f"It is {size} {'better' if is_better else 'worse'} than {best['name']}"
    low, high = significance["low"], significance["high"]
    # Without significance, an interval that excludes zero would only contradict the test.
    if significance["p_value"] < SIGNIFICANCE_LEVEL and low is not None and high is not None:
        ends = [
            f"{100 * end:.1f}" if own["share"] else format_value(own, end)
            for end in sorted((abs(low), abs(high)))
        ]
        if low * high > 0:
            text += f" (95% CI {ends[0]} to {ends[1]})"
    return f"{text}. {_describe_p_value(significance['p_value'], test_rows)}"


def _describe_p_value(p_value: float, test_rows: int) -> str:
    if p_value < 0.001:
        return "That is practically certain to be no chance (p < 0.001)."
    if p_value < SIGNIFICANCE_LEVEL:
        return f"That is unlikely to be chance (p = {p_value:.2g})."
    return (
        f"That may well be chance (p = {p_value:.2g}):"
        f" {'1 test row' if test_rows == 1 else f'{test_rows:,} test rows'} cannot tell the two"
        " apart."
    )


def _format_probe_sentence(compared: list[BaselineResult], own: Measure) -> str:
    probe = next((baseline for baseline in compared if baseline["id"] == "probe"), None)
    value = find_measure(probe["metrics"], own["name"])["value"] if probe else None
    if probe is None or value is None:
        return ""
    outcome = {
        "helped": "this model is better",
        "hurt": "this model is worse",
        "no_difference": "the difference may be chance",
    }[decide_verdict(probe["significance"], own["better"])]
    p_value = probe["significance"]["p_value"]
    return (
        f"The same base model, frozen, with a linear layer reaches {format_value(own, value)}:"
        f" {outcome} (p = {p_value:.2g})."
    )


def _suggest_next_step(
    verdict: Verdict,
    best: BaselineResult | None,
    own: Measure,
    compared: list[BaselineResult],
    test_rows: int,
) -> str:
    if best is None:
        return "Train a second model on the same data and compare the two."
    best_words = best["name"][:1].upper() + best["name"][1:]
    if verdict == "hurt":
        return (
            f"{best_words} does better: look at the worst rows for wrong labels, then train longer"
            " or with another base model."
        )
    width = (own["high"] or 0.0) - (own["low"] or 0.0)  # Both ends are known, or neither is.
    if own["share"] and width > WIDE_INTERVAL:
        return "Add labelled rows: with so few test rows the true value may be far from this."
    if verdict == "no_difference":
        return (
            f"{best_words} may be as good:"
            f" {'1 test row' if test_rows == 1 else f'{test_rows:,} test rows'} cannot tell."
            " Add rows, or try a larger base model."
        )
    probe = next((baseline for baseline in compared if baseline["id"] == "probe"), None)
    if probe and decide_verdict(probe["significance"], own["better"]) != "helped":
        return (
            "The quick probe is about as good and trains in a fraction of the time: use it for"
            " experiments, and read the worst rows before adding more."
        )
    return _suggest_by_metric(own)


def _suggest_by_metric(own: Measure) -> str:
    if own["share"] and own["value"] == 1:
        return "No test row went wrong: deploy it, and see what it answers to real questions."
    if own["name"] == "accuracy":
        return "Read the most confused pairs of labels: clearer labels there gain more than tuning."
    if own["name"] == "rmse":
        return "Look at the ranges with the largest error: more rows there gain more than tuning."
    if own["name"] in ("loss", "rougeL"):
        return "Read the samples beside the base model's: more examples of the weak kind gain most."
    return "Read the labels with the lowest F1: more and clearer rows there gain more than tuning."


def list_cautions(predictions: ModelPredictions, rows: TestRows) -> list[str]:
    """What readers must know before they trust the numbers."""
    cautions = []
    if (tested := len(rows.source_rows)) < FEW_TEST_ROWS:
        cautions.append(
            f"Only {'1 test row' if tested == 1 else f'{tested} test rows'}:"
            " read the intervals, not the values."
        )
    if isinstance(predictions, MulticlassPredictions):
        cautions += _label_cautions(predictions, rows)
    if isinstance(predictions, RegressionPredictions):
        if np.ptp(predictions.true) == 0:
            cautions.append("The target never varies on the test rows: errors say little.")
        if outliers := describe_test_outliers(predictions.true, predictions.predicted):
            cautions.append(outliers)
    return cautions


def _label_cautions(predictions: MulticlassPredictions, rows: TestRows) -> list[str]:
    counts: Counter[int] = Counter(predictions.true.tolist())
    cautions = []
    label, rows_of_label = counts.most_common(1)[0]
    share = rows_of_label / len(predictions.true)
    if share >= IMBALANCED_SHARE and len(counts) > 1:
        cautions.append(
            f"{share:.0%} of the test rows are {rows.label_names[label]!r}: accuracy flatters every"
            " model here. Judge by balanced accuracy, macro F1 and ROC AUC."
        )
    few = [rows.label_names[label] for label, count in counts.items() if count < MIN_ROWS_PER_LABEL]
    if few:
        listed = ", ".join(few[:5]) + (" …" if len(few) > 5 else "")
        cautions.append(
            f"Of {'1 label' if len(few) == 1 else f'{len(few):,} labels'} there are fewer than"
            f" {MIN_ROWS_PER_LABEL} test rows, too few to measure each on its own: {listed}."
        )
    absent = [name for index, name in enumerate(rows.label_names) if index not in counts]
    if absent:
        listed = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
        cautions.append(
            f"1 label has no test row and was not tested: {listed}."
            if len(absent) == 1
            else f"{len(absent):,} labels have no test row and were not tested: {listed}."
        )
    return cautions
