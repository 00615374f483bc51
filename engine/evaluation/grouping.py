"""Assigns each test row to a group by a column's value, for breakdowns and fairness."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_GROUPS = 12
OTHER, MISSING = "(other)", "(missing)"


def assign_groups(cells: Sequence[Any]) -> list[str]:
    """The group of each row: a quarter of the range for numbers of many values, otherwise the value
    itself; values beyond the commonest MAX_GROUPS share one group."""
    if is_continuous(cells):
        return _assign_quartiles(cells)
    names = [MISSING if is_missing(cell) else str(cell)[:80] for cell in cells]
    common = {name for name, _ in Counter(names).most_common(MAX_GROUPS)}
    return [name if name in common else OTHER for name in names]


def is_continuous(cells: Sequence[Any]) -> bool:
    """Whether these are numbers with more than MAX_GROUPS different values."""
    known = [cell for cell in cells if not is_missing(cell)]
    is_number = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known)
    return bool(known) and is_number and len(set(known)) > MAX_GROUPS


def is_missing(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell


def _assign_quartiles(cells: Sequence[Any]) -> list[str]:
    known = np.array([cell for cell in cells if not is_missing(cell)], dtype=np.float64)
    edges = np.unique(np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))
    if len(edges) == 1:
        bounds = [(edges[0], edges[0], True)]
    else:
        pairs = zip(edges[:-1], edges[1:], strict=True)
        bounds = [(low, high, high == edges[-1]) for low, high in pairs]
    names = [
        f"{low:.4g} to {high:.4g}" if last else f"{low:.4g} to below {high:.4g}"
        for low, high, last in bounds
    ]

    def name_of(cell: Any) -> str:
        if is_missing(cell):
            return MISSING
        place = int(np.searchsorted(edges, float(cell), side="right")) - 1
        return names[min(place, len(names) - 1)]

    return [name_of(cell) for cell in cells]
