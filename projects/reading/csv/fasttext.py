"""Reads fastText's files: each line has labels and then a text, as in "__label__spam Buy now"."""

import json
import re
from collections.abc import Iterator, Sequence

from projects.reading.results import Dialect, Issues, RejectedRow, TableSource

PREFIX = "__label__"
MIN_SHARE = 0.9  # Of the lines begin with a label.
_LINE = re.compile(rf"\s*((?:{PREFIX}\S+\s*)+)(.*)", re.DOTALL)


def is_fasttext(sample: Sequence[str]) -> bool:
    """Whether these first lines are of such a file."""
    lines = [line for line in sample if line.strip()]
    labelled = sum(line.lstrip().startswith(PREFIX) for line in lines)
    return bool(lines) and labelled >= MIN_SHARE * len(lines)


def read_fasttext(lines: Iterator[str], dialect: Dialect, issues: Issues) -> TableSource:
    """Texts with their labels, several of a line as a JSON list."""
    issues.add("fasttext", "Every line was read as a text behind its labels, as fastText has it.")
    return TableSource(["text", "label"], _iter_rows(lines), dialect, issues)


def _iter_rows(lines: Iterator[str]) -> "Iterator[list[str | None] | RejectedRow]":
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            yield RejectedRow(number, "label", f"The line begins with no {PREFIX}.", [line])
            continue
        labels = [label.removeprefix(PREFIX) for label in match[1].split()]
        cell = labels[0] if len(labels) == 1 else json.dumps(labels, ensure_ascii=False)
        yield [match[2], cell]
