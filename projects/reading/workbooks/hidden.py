"""Rows and columns that somebody has hidden in a workbook (.xlsx): they are read like all others,
and whoever uploads them should know."""

import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree

from projects.reading.limits import MAX_COLUMNS
from projects.reading.workbook_numbers import list_sheet_parts

_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*\bhidden="(?:1|true)"')
_COLUMNS = re.compile(rb"<(?:\w+:)?col\b[^>]*>")
_FIRST, _LAST = re.compile(rb'\bmin="(\d{1,5})"'), re.compile(rb'\bmax="(\d{1,5})"')
_UNSEEN = re.compile(rb'\bhidden="(?:1|true)"|\bwidth="0(?:\.0*)?"')


def count_hidden_rows(path: Path, sheets: Collection[str]) -> int:
    """How many rows of these sheets a filter or a person has hidden."""
    return sum(len(_HIDDEN_ROW.findall(content)) for content in _read_parts(path, sheets))


def find_hidden_columns(path: Path, sheet: str) -> set[int]:
    """The places, from 0, of the columns of a sheet that are hidden or of no width."""
    return {
        place
        for content in _read_parts(path, [sheet])
        for marks in _COLUMNS.findall(content)
        if _UNSEEN.search(marks)
        and (first := _FIRST.search(marks))
        and (last := _LAST.search(marks))
        for place in range(int(first[1]) - 1, min(int(last[1]), MAX_COLUMNS))
    }


def _read_parts(path: Path, sheets: Collection[str]) -> list[bytes]:
    """The XML of these sheets; none of a workbook of another kind."""
    try:
        with zipfile.ZipFile(path) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                return []
            parts = list_sheet_parts(archive)
            return [archive.read(part) for name, part in parts.items() if name in sheets]
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, OSError, ValueError):
        return []
