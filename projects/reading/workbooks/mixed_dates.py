"""Columns of a workbook in which some cells are dates and others are texts. Excel turns what looks
like a date into one, as MAR1, 1-5 or 03/04/2024 typed day first, and leaves what does not, as
25/04/2024."""

import datetime
import re
from collections.abc import Sequence
from typing import Any

from projects.reading.results import Issues

MAX_SHOWN_CHARS = 40
_DAY_FIRST = re.compile(r"\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{2}|\d{4})\b.*")
_LIKE_A_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*")


def report_mixed_dates(rows: Sequence[Sequence[Any]], names: Sequence[str], issues: Issues) -> None:
    """One sentence for each column that holds both; `names` are those of the columns. What stands
    above the table is one cell at most."""
    for place, name in enumerate(names):
        cells = [row[place] for row in rows if place < len(row)]
        dates = [cell for cell in cells if isinstance(cell, datetime.date)]
        if not dates:
            continue
        texts = [cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()]
        texts = [text for text in texts if text != name]
        if len(dates) >= len(texts):  # Without digits: a word for a date that is missing.
            texts = [text for text in texts if any(map(str.isdigit, text))]
        if len(texts) < 2:
            continue
        issues.add("mixed_dates", _describe(name, dates, texts), column=name)


def _describe(name: str, dates: Sequence[datetime.date], texts: Sequence[str]) -> str:
    number_dates, number_texts = f"{len(dates):,}", f"{len(texts):,}"
    date, text = dates[0].strftime("%Y-%m-%d"), texts[0][:MAX_SHOWN_CHARS]
    if not all(map(_LIKE_A_DATE.fullmatch, texts)):
        return (
            f"Cells of {name!r} that are dates, such as {date}: {number_dates}. Cells that are"
            f" texts, such as {text!r}: {number_texts}. Excel makes dates of what looks like one,"
            " such as 1-5 or MAR1. Look whether these are dates."
        )
    if _are_swapped(dates, texts):
        return (
            f"Cells of {name!r} that are dates, such as {date}: {number_dates}. Cells that are"
            f" texts, such as {text!r}: {number_texts}. All dates are of days up to 12 and all"
            " texts of later days, so Excel has probably taken days for months in the dates. Enter"
            " them again with the right order of day and month."
        )
    return (
        f"Cells of {name!r} that are dates, such as {date}: {number_dates}. Cells that are texts,"
        f" such as {text!r}: {number_texts}. The column was read as text. Make all of them dates in"
        " Excel (Data, Text to Columns), and upload the workbook again."
    )


def _are_swapped(dates: Sequence[datetime.date], texts: Sequence[str]) -> bool:
    """Whether only what can be no month first stayed a text."""
    found = [_DAY_FIRST.fullmatch(text) for text in texts]
    return max(one.day for one in dates) <= 12 and all(
        one is not None and int(one[1]) > 12 >= int(one[2]) for one in found
    )
