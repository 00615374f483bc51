"""Breaks results down by length and by the values of other columns."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.evaluation.answer_types import AnswerType, get_answer_type, get_main_metric
from engine.evaluation.grouping import (
    MAX_GROUPS,
    MISSING,
    OTHER,
    assign_groups,
    is_continuous,
    is_missing,
)
from engine.evaluation.rows import ModelPredictions, TestRows
from engine.evaluation.schema import Breakdown, SliceResult
from engine.evaluation.verdict import find_measure
from engine.metrics.measures import Measure
from engine.metrics.shapes import Ints

LENGTH_NAMES = ("shortest third", "middle third", "longest third")
MAX_COLUMNS = 8
SMALL_SLICE_ROWS = 30
MIN_GROUP_ROWS = 5  # Values with fewer rows share one group.
SMALL_SLICE_NOTE = "few rows: read the interval, not the value"


def compute_breakdowns(predictions: ModelPredictions, rows: TestRows) -> list[Breakdown]:
    """By length where rows have one, then by every column of `rows.columns`."""
    kind = get_answer_type(predictions)
    overall = kind.measure(predictions, kind.summary_metrics)
    breakdowns = []
    if rows.lengths and max(rows.lengths) > min(rows.lengths):
        breakdowns.append(_compute_length_breakdown(predictions, rows, overall))
    for column, cells in rows.columns.items():
        parts = _group_rows(cells)
        if len(parts) > 1:
            slices = [_measure_slice(predictions, kind, overall, *part) for part in parts]
            breakdowns.append(Breakdown(by=column, title=f"By {column}", slices=slices))
    return breakdowns


def _compute_length_breakdown(
    predictions: ModelPredictions, rows: TestRows, overall: list[Measure]
) -> Breakdown:
    order = np.argsort(np.asarray(rows.lengths), kind="stable")
    slices = []
    for name, part in zip(LENGTH_NAMES, np.array_split(order, 3), strict=True):
        if len(part):
            span = f"{rows.lengths[part[0]]}–{rows.lengths[part[-1]]} {rows.length_unit}"
            title = f"{name} ({span})"
            slices.append(
                _measure_slice(predictions, get_answer_type(predictions), overall, title, part)
            )
    return Breakdown(by="length", title="By length", slices=slices)


def _measure_slice(
    predictions: ModelPredictions, kind: AnswerType, overall: list[Measure], name: str, rows: Ints
) -> SliceResult:
    measured = kind.measure(kind.select_rows(predictions, rows), kind.summary_metrics)
    is_small = len(rows) < SMALL_SLICE_ROWS
    is_weak = not is_small and _is_worse(measured, overall, kind)
    result = SliceResult(name=name, rows=len(rows), metrics=measured, is_weak=is_weak)
    if is_small:
        result["note"] = SMALL_SLICE_NOTE
    return result


def _is_worse(measured: list[Measure], overall: list[Measure], kind: AnswerType) -> bool:
    """Whether the whole interval of the main metric is worse than its value over all rows."""
    name = get_main_metric(kind)
    own, whole = find_measure(measured, name), find_measure(overall, name)
    if own["low"] is None or own["high"] is None or whole["value"] is None:
        return False
    if own["better"] == "up":
        return own["high"] < whole["value"]
    return own["low"] > whole["value"]


def _group_rows(cells: Sequence[Any]) -> list[tuple[str, Ints]]:
    """Quarters in ascending order; other groups by size, the largest first, "(other)" last."""
    groups = np.asarray(assign_groups(cells), dtype=object)
    sizes = Counter(groups.tolist())
    if is_continuous(cells):
        known = [row for row, cell in enumerate(cells) if not is_missing(cell)]
        ordered = sorted(known, key=lambda row: cells[row])
        names = list(dict.fromkeys(groups[row] for row in ordered))
        names += [MISSING] * (MISSING in sizes)
    else:
        tiny = [name for name, size in sizes.items() if size < MIN_GROUP_ROWS and name != OTHER]
        groups[np.isin(groups, tiny)] = OTHER
        names = [name for name, _ in sizes.most_common() if name not in (*tiny, OTHER)]
        names += [OTHER] * bool((groups == OTHER).any())
    return [(name, np.flatnonzero(groups == name)) for name in names]


def select_slice_columns(
    columns: dict[str, list[Any]], chosen: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """The columns worth a breakdown: those chosen, then those with few values or with numbers;
    nearly unique ones, such as identifiers and free text, are left out."""
    useful = [
        name
        for name, cells in columns.items()
        if name not in chosen and _is_useful_for_slicing(cells)
    ]
    names = [*(name for name in chosen if name in columns), *useful][
        : max(MAX_COLUMNS, len(chosen))
    ]
    return {name: columns[name] for name in names}


def _is_useful_for_slicing(cells: Sequence[Any]) -> bool:
    values = {str(cell) for cell in cells if not is_missing(cell)}
    if is_continuous(cells):
        is_whole = all(float(cell).is_integer() for cell in cells if not is_missing(cell))
        is_identifier = is_whole and len(values) > 0.9 * len(cells)
        return not is_identifier
    return 2 <= len(values) <= MAX_GROUPS
