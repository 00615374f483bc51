"""Puts the report together from its parts."""

from collections.abc import Sequence
from typing import Any

from engine import fairness
from engine.evaluation import labels, texts, values
from engine.evaluation.conclusion import cautions, conclusion
from engine.evaluation.kinds import headline_of, kind_of
from engine.evaluation.rows import Contender, Given, TestRows
from engine.evaluation.schema import FORMAT, Baseline, Report
from engine.evaluation.slicing import breakdowns
from engine.metrics.shapes import Answers, Generations, LabelSets, Numbers


def evaluate(
    given: Given,
    rows: TestRows,
    contenders: Sequence[Contender],
    *,
    fair_by: Sequence[str] = (),
) -> dict[str, Any]:
    """All of the report that follows from the answers alone.

    `fair_by` names columns of `rows.columns` whose groups are compared for fairness.
    """
    kind = kind_of(given)
    measured = kind.measure(given, None)
    compared = [_against(given, contender) for contender in contenders]
    metric = headline_of(kind, measured)
    concluded = conclusion(metric, measured, compared)
    report: Report = {
        "format": FORMAT,
        "kind": kind.name,
        "headline": concluded["headline"],
        "verdict": concluded["verdict"],
        "sure": concluded["sure"],
        "next_step": concluded["next_step"],
        "probe_sentence": concluded["probe_sentence"],
        "notes": cautions(given, rows),
        "headline_metric": metric,
        "test_rows": len(rows.source_rows),
        "metrics": measured,
        "baselines": compared,
        "breakdowns": breakdowns(given, rows),
        "examples": {},
    }
    _add_own_parts(report, given, rows, contenders)
    if fair_by and not isinstance(given, Generations):
        assessed = (
            fairness.assess(given, name, rows.columns[name], rows.label_names) for name in fair_by
        )
        report["fairness"] = list(assessed)
    return dict(report)


def _against(given: Given, contender: Contender) -> Baseline:
    kind = kind_of(given)
    return {
        "id": contender.id,
        "name": contender.name,
        "note": contender.note,
        "metrics": kind.measure(contender.answers, kind.beside),
        "significance": kind.compare(given, contender.answers),
    }


def _add_own_parts(
    report: Report, given: Given, rows: TestRows, contenders: Sequence[Contender]
) -> None:
    """What only answers of this shape have."""
    if isinstance(given, Answers):
        report |= labels.single_label_parts(given, rows)
    elif isinstance(given, LabelSets):
        report |= labels.multi_label_parts(given, rows)
    elif isinstance(given, Numbers):
        report |= values.parts(given, rows)
    else:
        base = next((one for one in contenders if one.id == "base"), None)
        other = base.answers if base and isinstance(base.answers, Generations) else None
        report |= texts.parts(given, rows, other)
