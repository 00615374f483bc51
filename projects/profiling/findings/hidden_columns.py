"""Columns that were hidden in the workbook: nobody who looks at it sees that they are uploaded."""

from collections.abc import Collection, Sequence

from projects.profiling.findings.problems import drop_columns
from projects.profiling.profile import ProfileWarning

MAX_LISTED_COLUMNS = 5


def find_hidden_columns(hidden: Collection[str], names: Sequence[str]) -> list[ProfileWarning]:
    """One finding on those of the columns that were hidden."""
    found = [name for name in names if name in hidden]
    if not found:
        return []
    shown = ", ".join(found[:MAX_LISTED_COLUMNS])
    return [
        {
            "code": "hidden_columns",
            "sentence": f"{shown} is hidden in the workbook. It was read like all others."
            if len(found) == 1
            else f"{shown} are hidden in the workbook. They were read like all others.",
            "advice": "Hidden columns are often notes, drafts or what nobody should learn from."
            " Leave them out if they are.",
            "fix": drop_columns(found),
        }
    ]
