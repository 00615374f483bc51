"""Whether a model is worth using, in one word and one sentence, judged by its answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.queries.svg_plots import format_metric_value

if TYPE_CHECKING:  # Types only: the web process computes no metrics.
    from engine.evaluation.schema import BaselineResult, Report
    from engine.metrics.measures import Measure

TRIVIAL_BASELINES = ("majority", "mean")  # They read no input.
SIGNIFICANCE_LEVEL = 0.05
PROBE_ADVICE = re.compile("The quick probe is about as good")
# Below both, a language model that matches no expected answer is judged useless.
USELESS_BLEU, USELESS_ROUGE = 1.0, 0.2


@dataclass(frozen=True)
class ModelVerdict:
    """`tone` is that of a callout: good, wait (doubtful) or bad."""

    word: str
    tone: str
    sentence: str
    advice: str  # What to do next.
    tab: str  # The tab of the report that the advice is about.

    @property
    def advises_probe(self) -> bool:
        """Whether it says to train the quick probe, for which the page has a button."""
        return PROBE_ADVICE.match(self.advice) is not None


@dataclass(frozen=True)
class QualityBar:
    """The headline metric of this model or of a baseline, in percent of the scale's width."""

    name: str
    is_ours: bool
    value_text: str
    value: float
    low: float | None
    width: float | None  # Of the interval.


def judge_model(report: "Report") -> ModelVerdict:
    """The verdict on the report that pages and lists show."""
    own = _measure(report.get("metrics", []), report.get("headline_metric", ""))
    if own is None or own.get("value") is None:
        return ModelVerdict("Not compared", "wait", "It was not measured on test rows.", "", "")
    sentence = _compare_in_words(report, own)
    if report.get("kind") == "generation" and _answers_are_useless(report):
        measures = [_measure(report.get("metrics", []), name) for name in ("exact_match", "bleu")]
        answer_scores = ", ".join(
            f"{measure['title']} {format_metric_value(measure)}" for measure in measures if measure
        )
        return ModelVerdict(
            "Not usable yet",
            "wait",
            f"It reproduces none of the expected answers: {answer_scores}.",
            "Read its answers, then train a pretrained base model or add many more rows.",
            "mistakes",
        )
    if trivial := _unbeaten_trivial_baseline(report, own):
        return ModelVerdict(
            "Not usable yet",
            "wait",
            f"{sentence} It is no better than {trivial['name']}.",
            "Look for wrong labels among its mistakes, then add rows.",
            "mistakes",
        )
    advice = report.get("next_step", "")
    word, tone = {
        "helped": ("Good", "good"),
        "hurt": ("Worse than a baseline", "bad"),
        "no_difference": ("No clear gain", "wait"),
    }.get(report.get("verdict", ""), ("Not compared", "wait"))
    return ModelVerdict(word, tone, sentence, advice, "mistakes")


def quality_bars(report: "Report") -> list[QualityBar]:
    """This model first, then what it is compared with, by the headline metric."""
    name = report.get("headline_metric", "")
    own = _measure(report.get("metrics", []), name)
    contenders = [("This model", own)] + [
        (baseline["name"], _measure(baseline["metrics"], name))
        for baseline in report.get("baselines", [])
    ]
    measured = [
        (title, measure)
        for title, measure in contenders
        if measure and measure.get("value") is not None
    ]
    if not measured:
        return []
    ends = [
        value
        for _, measure in measured
        for value in (measure["value"], measure.get("high"))
        if value
    ]
    scale = 1.0 if measured[0][1].get("share") else max([abs(end) for end in ends] or [1.0])
    return [
        _quality_bar(title, measure, scale, is_ours=measure is own) for title, measure in measured
    ]


def _quality_bar(title: str, measure: "Measure", scale: float, *, is_ours: bool) -> QualityBar:
    low, high = measure.get("low"), measure.get("high")
    has_interval = low is not None and high is not None
    return QualityBar(
        name=title[:1].upper() + title[1:],
        is_ours=is_ours,
        value_text=format_metric_value(measure),
        value=_percent_of(measure["value"] or 0, scale),
        low=_percent_of(low, scale) if low is not None and has_interval else None,
        width=_percent_of(high - low, scale) if low is not None and high is not None else None,
    )


def _percent_of(value: float, scale: float) -> float:
    return round(min(100.0, max(0.0, 100 * value / (scale or 1))), 2)


def _measure(measures: "Sequence[Measure]", name: str) -> "Measure | None":
    return next((measure for measure in measures if measure["name"] == name), None)


def _compare_in_words(report: "Report", own: "Measure") -> str:
    """For example "94.7% right; TF-IDF 92.7%; with 150 test rows that may be chance." """
    title = "right" if own["name"] == "accuracy" else own.get("title") or own["name"]
    text = f"{format_metric_value(own)} {title}"
    if own["name"] != "accuracy":
        text = f"{title} {format_metric_value(own)}"
    rival = _best_rival(report, own)
    if rival is not None:
        measured = _measure(rival["metrics"], own["name"])
        assert measured is not None  # It was chosen by this metric.
        shown = format_metric_value(measured)
        text += f"; {rival['name']} {shown}"
        # Of figures that are shown alike the difference is not mentioned.
        if (
            shown != format_metric_value(own)
            and rival["significance"].get("p_value", 1) >= SIGNIFICANCE_LEVEL
        ):
            tested = report.get("test_rows", 0)
            text += (
                f"; with {'1 test row' if tested == 1 else f'{tested:,} test rows'} the difference"
                " may be chance"
            )
    return f"{text}."


def _best_rival(report: "Report", own: "Measure") -> "BaselineResult | None":
    """The best baseline other than the same base model, frozen."""
    sign = 1 if own["better"] == "up" else -1
    best, best_quality = None, float("-inf")
    for baseline in report.get("baselines", []):
        measure = _measure(baseline["metrics"], own["name"])
        if baseline["id"] != "probe" and measure and measure.get("value") is not None:
            quality = sign * (measure["value"] or 0)
            if quality > best_quality:
                best, best_quality = baseline, quality
    return best


def _unbeaten_trivial_baseline(report: "Report", own: "Measure") -> "BaselineResult | None":
    sign = 1 if own["better"] == "up" else -1
    for baseline in report.get("baselines", []):
        measure = _measure(baseline["metrics"], own["name"])
        has_value = measure is not None and measure.get("value") is not None
        if baseline["id"] not in TRIVIAL_BASELINES or measure is None or not has_value:
            continue
        if sign * (own["value"] or 0) <= sign * (measure["value"] or 0):
            return baseline
    return None


def _answers_are_useless(report: "Report") -> bool:
    values = {measure["name"]: measure.get("value") for measure in report.get("metrics", [])}
    exact, bleu, rouge = (values.get(name) for name in ("exact_match", "bleu", "rougeL"))
    if exact is None or bleu is None or rouge is None:
        return False
    return exact == 0 and bleu < USELESS_BLEU and rouge < USELESS_ROUGE
