"""Builds the report on the test rows from its parts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from engine.evaluation import classification_report, generation_report, regression_report
from engine.evaluation.answer_types import get_answer_type, get_main_metric
from engine.evaluation.cross_validation import CrossValidated
from engine.evaluation.rows import Contender, ModelPredictions, TestRows
from engine.evaluation.schema import REPORT_FORMAT, AnswerTypeParts, BaselineResult, Report
from engine.evaluation.slicing import compute_breakdowns
from engine.evaluation.verdict import draw_conclusion, list_cautions
from engine.metrics.shapes import (
    GenerationPredictions,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
)


def build_report(
    predictions: ModelPredictions,
    rows: TestRows,
    contenders: Sequence[Contender],
    crossed: CrossValidated | None = None,
) -> Report:
    """Everything in the report that follows from the predictions alone.

    With a cross-validation the figures are of its rows. What opens rows of the stored answers, the
    example rows and the confused labels, and contenders that it left out, stay those of the test.
    """
    if crossed is None:
        return _build_figures(predictions, predictions, rows, contenders)
    report = _build_figures(crossed.predictions, crossed.first, crossed.rows, crossed.contenders)
    known = {one.id for one in crossed.contenders}
    tested = len(rows.source_rows)
    note = f"on the {'1 test row' if tested == 1 else f'{tested:,} test rows'} alone"
    report["baselines"] += [
        _compare_with_contender(
            predictions, replace(one, note=f"{one.note}; {note}" if one.note else note)
        )
        for one in contenders
        if one.id not in known
    ]
    own = _build_answer_type_parts(predictions, rows, contenders)
    report["examples"] = own["examples"]
    if "confusion" in own:
        report["confusion"] = own["confusion"]
    report["cross_validation"] = crossed.summary
    return report


def _build_figures(
    predictions: ModelPredictions,
    once: ModelPredictions,
    rows: TestRows,
    contenders: Sequence[Contender],
) -> Report:
    """`once` are the predictions with each of the rows once, of which counts are shown."""
    kind = get_answer_type(predictions)
    measured = kind.measure(predictions, None)
    compared = [_compare_with_contender(predictions, contender) for contender in contenders]
    metric = get_main_metric(kind, predictions)
    conclusion = draw_conclusion(metric, measured, compared, len(rows.source_rows))
    report: Report = {
        "format": REPORT_FORMAT,
        "kind": kind.name,
        "headline": conclusion["headline"],
        "verdict": conclusion["verdict"],
        "sure": conclusion["sure"],
        "next_step": conclusion["next_step"],
        "probe_sentence": conclusion["probe_sentence"],
        "notes": list_cautions(once, rows),
        "headline_metric": metric,
        "test_rows": len(rows.source_rows),
        "metrics": measured,
        "baselines": compared,
        "breakdowns": compute_breakdowns(once, rows),
    }
    parts = _build_answer_type_parts(once, rows, contenders)
    report.update(cast("Report", parts))
    return report


def _compare_with_contender(predictions: ModelPredictions, contender: Contender) -> BaselineResult:
    kind = get_answer_type(predictions)
    return {
        "id": contender.id,
        "name": contender.name,
        "note": contender.note,
        "metrics": kind.measure(contender.predictions, kind.summary_metrics),
        "significance": kind.compare(predictions, contender.predictions),
    }


def _build_answer_type_parts(
    predictions: ModelPredictions, rows: TestRows, contenders: Sequence[Contender]
) -> AnswerTypeParts:
    if isinstance(predictions, MulticlassPredictions):
        return classification_report.build_multiclass_parts(predictions, rows)
    if isinstance(predictions, MultilabelPredictions):
        return classification_report.build_multilabel_parts(predictions, rows)
    if isinstance(predictions, RegressionPredictions):
        return regression_report.build_regression_parts(predictions, rows)
    by_id = {contender.id: contender.predictions for contender in contenders}
    base = by_id.get("base")
    return generation_report.build_generation_parts(
        predictions, rows, base if isinstance(base, GenerationPredictions) else None
    )
