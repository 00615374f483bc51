"""What reading a file leaves behind: rows, refusals with their place, and things worth saying."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MOST_ISSUES_PER_CODE = 10


class Unreadable(Exception):
    """The file as a whole cannot become a table. The sentence says why and what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True)
class Reject:
    """One row that was refused: where, why, and the row itself."""

    line: int
    column: str
    reason: str
    cells: list[str]


@dataclass
class Issues:
    """Things the customer should know, each code at most ten times and then counted."""

    found: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, sentence: str, line: int | None = None, column: str = "") -> None:
        self.counts[code] += 1
        if self.counts[code] <= MOST_ISSUES_PER_CODE:
            self.found.append({"code": code, "sentence": sentence, "line": line, "column": column})

    def as_list(self) -> list[dict[str, Any]]:
        """The issues, each code cut short followed by how many more there are."""
        more = [
            {
                "code": code,
                "sentence": f"And {count - MOST_ISSUES_PER_CODE:,} more like this.",
                "line": None,
                "column": "",
            }
            for code, count in self.counts.items()
            if count > MOST_ISSUES_PER_CODE
        ]
        return self.found + more


@dataclass
class Source:
    """A table about to be read: its columns, then its rows as text, one by one.

    `native` gives a column's type where the file itself knows it (JSON, Excel); else it is
    inferred from the text. An item of `rows` is a Reject or a row of len(names) cells.
    """

    names: list[str]
    rows: Iterator["list[str | None] | Reject"]
    dialect: dict[str, Any]
    issues: Issues
    native: dict[int, str] = field(default_factory=dict)


class RejectFile:
    """The refused rows as a CSV that a spreadsheet can open without running anything in it."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._file = open(path, "w", encoding="utf-8-sig", newline="")  # noqa: SIM115
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "column", "reason", "row"])

    def write(self, reject: Reject) -> None:
        self.count += 1
        guarded = [guard_formula(cell) for cell in reject.cells]
        self._writer.writerow([reject.line, guard_formula(reject.column), reject.reason, *guarded])

    def close(self) -> None:
        self._file.close()


def guard_formula(cell: str) -> str:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
