"""Cells that hold several labels: JSON lists, or words between separators, declared or detected."""

import json
from collections import Counter
from dataclasses import dataclass

SEPARATORS = ("|", ";", ",")
LONGEST_LABEL = 60
FEWEST_SEVERAL = 0.1  # Of the cells must hold a separator before it is taken for one.
MOST_PARTS_SHARE = 0.5  # Of different labels to different cells: combinations repeat their parts.


@dataclass(frozen=True)
class LabelSets:
    """The labels of each cell, in their order there, and how they were found in it."""

    labels: list[list[str]]
    how: str


def read_label_sets(cells: list[str], per_row: str, separator: str) -> LabelSets | None:
    """None when every cell is one label. `per_row` is auto, one or several."""
    if per_row == "one":
        return None
    listed = _json_lists(cells)
    if listed is not None:
        return LabelSets(listed, "a JSON list")
    found = separator or _detect(cells, is_certain=per_row == "several")
    if found:
        return LabelSets([_parts(cell, found) for cell in cells], f"separated by {found!r}")
    return LabelSets([[cell] for cell in cells], "one label each") if per_row == "several" else None


def _json_lists(cells: list[str]) -> list[list[str]] | None:
    """Every cell's list, if every cell is one."""
    if not cells or not all(cell.startswith("[") and cell.endswith("]") for cell in cells):
        return None
    found = []
    for cell in cells:
        try:
            content = json.loads(cell)
        except ValueError:
            return None
        if any(isinstance(one, dict | list) or one is None for one in content):
            return None
        found.append(list(dict.fromkeys(str(one).strip() for one in content)))
    return found


def _detect(cells: list[str], *, is_certain: bool) -> str:
    """The separator between repeated short labels. Prose with commas repeats no parts."""
    for separator in SEPARATORS:
        several = sum(separator in cell for cell in cells)
        if is_certain and several:
            return separator
        parts = Counter(part for cell in cells for part in _parts(cell, separator))
        is_made_of_labels = (
            several >= FEWEST_SEVERAL * len(cells)
            and len(parts) <= MOST_PARTS_SHARE * len(set(cells))
            and max(map(len, parts), default=0) <= LONGEST_LABEL
        )
        if is_made_of_labels:
            return separator
    return ""


def _parts(cell: str, separator: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in cell.split(separator) if part.strip()))
