"""Finds tables that stand side by side on a sheet, with an empty column between them: each row then
holds two things that have nothing to do with each other."""

from collections.abc import Sequence
from itertools import groupby

from projects.profiling.findings.problems import drop_columns
from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.column import ColumnInfo

MIN_COLUMNS = 2  # Of each table.


def find_side_by_side(
    columns: Sequence[ColumnInfo], profiles: Sequence[ColumnProfile], rows: int
) -> list[ProfileWarning]:
    """A finding where a column without a name and without cells stands between named ones."""
    gaps = {
        column["name"]
        for column, profile in zip(columns, profiles, strict=True)
        if profile["missing"] == rows and not column["original_name"].strip()
    }
    names = [column["name"] for column in columns]
    groups = [list(group) for is_gap, group in groupby(names, gaps.__contains__) if not is_gap]
    if len(groups) < 2 or any(len(group) < MIN_COLUMNS for group in groups):
        return []
    first = max(groups, key=len)
    others = [name for name in names if name not in first]
    return [
        {
            "code": "side_by_side",
            "sentence": f"An empty column stands between {groups[0][-1]} and {groups[1][0]}:"
            " perhaps two tables stand side by side.",
            "advice": "Columns of two tables have nothing to do with each other, though they share"
            " rows. Keep one of them, unless it is a single table with a gap.",
            "fix": drop_columns(others),
            "other_fix": drop_columns([name for name in names if name not in groups[-1]])
            if first is not groups[-1]
            else drop_columns([name for name in names if name not in groups[0]]),
        }
    ]
