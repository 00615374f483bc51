"""Results by length and by the values of other columns: where is the model weak?"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.evaluation.kinds import Kind, headline_of, kind_of
from engine.evaluation.rows import Given, TestRows
from engine.evaluation.schema import Breakdown, Slice
from engine.metrics.measures import Measure
from engine.metrics.shapes import Ints

LENGTH_NAMES = ("shortest third", "middle third", "longest third")
MOST_GROUPS = 12
MOST_COLUMNS = 8
SMALL = 30
TINY = 5  # Rows of a value that says nothing alone: such values share one group.
OTHER, MISSING = "(other)", "(missing)"
SMALL_NOTE = "few rows: read the interval, not the value"


def breakdowns(given: Given, rows: TestRows) -> list[Breakdown]:
    """By length where rows have one, then by every column of `rows.columns`."""
    kind = kind_of(given)
    overall = kind.measure(given, kind.beside)
    found = []
    if rows.lengths and max(rows.lengths) > min(rows.lengths):
        found.append(_by_length(given, rows, overall))
    for column, cells in rows.columns.items():
        parts = _parts_of(cells)
        if len(parts) > 1:
            slices = [_slice(given, kind, overall, *part) for part in parts]
            found.append(Breakdown(by=column, title=f"By {column}", slices=slices))
    return found


def _by_length(given: Given, rows: TestRows, overall: list[Measure]) -> Breakdown:
    order = np.argsort(np.asarray(rows.lengths), kind="stable")
    slices = []
    for name, part in zip(LENGTH_NAMES, np.array_split(order, 3), strict=True):
        if len(part):
            reach = f"{rows.lengths[part[0]]}–{rows.lengths[part[-1]]} {rows.length_unit}"
            title = f"{name} ({reach})"
            slices.append(_slice(given, kind_of(given), overall, title, part))
    return Breakdown(by="length", title="By length", slices=slices)


def _slice(given: Given, kind: Kind, overall: list[Measure], name: str, rows: Ints) -> Slice:
    measured = kind.measure(kind.take(given, rows), kind.beside)
    found = Slice(name=name, rows=len(rows), metrics=measured, is_weak=False)
    found["is_weak"] = len(rows) >= SMALL and _is_worse(measured, overall, kind)
    if len(rows) < SMALL:
        found["note"] = SMALL_NOTE
    return found


def _is_worse(measured: list[Measure], overall: list[Measure], kind: Kind) -> bool:
    name = headline_of(kind, overall)
    own, whole = (next(m for m in found if m["name"] == name) for found in (measured, overall))
    if own["low"] is None or own["high"] is None or whole["value"] is None:
        return False
    if own["better"] == "up":
        return own["high"] < whole["value"]
    return own["low"] > whole["value"]


def grouped(cells: Sequence[Any]) -> list[str]:
    """The group of each row: quarters for numbers of many values, else the value itself; values
    beyond the commonest dozen share one group."""
    if is_measured(cells):
        return _quarters(cells)
    names = [MISSING if _is_missing(cell) else str(cell)[:80] for cell in cells]
    common = {name for name, _ in Counter(names).most_common(MOST_GROUPS)}
    return [name if name in common else OTHER for name in names]


def is_measured(cells: Sequence[Any]) -> bool:
    """Whether these are numbers of more values than can be listed."""
    known = [cell for cell in cells if not _is_missing(cell)]
    is_number = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known)
    return bool(known) and is_number and len(set(known)) > MOST_GROUPS


def _is_missing(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell


def _quarters(cells: Sequence[Any]) -> list[str]:
    known = np.array([cell for cell in cells if not _is_missing(cell)], dtype=np.float64)
    edges = np.unique(np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))
    names = [
        f"{low:.4g} to {high:.4g}" if last else f"{low:.4g} to below {high:.4g}"
        for low, high, last in _spans(edges)
    ]
    place: Callable[[Any], int] = lambda cell: min(  # noqa: E731
        int(np.searchsorted(edges, float(cell), side="right")) - 1, len(names) - 1
    )
    return [MISSING if _is_missing(cell) else names[place(cell)] for cell in cells]


def _spans(edges: Any) -> list[tuple[float, float, bool]]:
    if len(edges) == 1:
        return [(edges[0], edges[0], True)]
    pairs = zip(edges[:-1], edges[1:], strict=True)
    return [(low, high, high == edges[-1]) for low, high in pairs]


def _parts_of(cells: Sequence[Any]) -> list[tuple[str, Ints]]:
    """Quarters in their order; other groups by size, the largest first, what is left over last."""
    each = np.asarray(grouped(cells), dtype=object)
    sizes = Counter(each.tolist())
    if is_measured(cells):
        known = [row for row, cell in enumerate(cells) if not _is_missing(cell)]
        names = list(dict.fromkeys(each[row] for row in sorted(known, key=lambda row: cells[row])))
        names += [MISSING] * (MISSING in sizes)
    else:
        tiny = [name for name, size in sizes.items() if size < TINY and name != OTHER]
        each[np.isin(each, tiny)] = OTHER
        names = [name for name, _ in sizes.most_common() if name not in (*tiny, OTHER)]
        names += [OTHER] * bool((each == OTHER).any())
    return [(name, np.flatnonzero(each == name)) for name in names]


def slice_columns(
    columns: dict[str, list[Any]], chosen: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """The columns worth breaking results down by: those chosen, then what has few values or is
    a number; nearly unique ones (identifiers, free text) are left out."""
    worth = [name for name, cells in columns.items() if name not in chosen and _is_telling(cells)]
    kept = [*(name for name in chosen if name in columns), *worth][: max(MOST_COLUMNS, len(chosen))]
    return {name: columns[name] for name in kept}


def _is_telling(cells: Sequence[Any]) -> bool:
    kinds = {str(cell) for cell in cells if not _is_missing(cell)}
    if is_measured(cells):
        whole = all(float(cell).is_integer() for cell in cells if not _is_missing(cell))
        return not (whole and len(kinds) > 0.9 * len(cells))  # Whole and unique: an identifier.
    return 2 <= len(kinds) <= MOST_GROUPS
