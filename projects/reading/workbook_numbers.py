"""Reads numbers of a workbook that a float would change.

Excel itself writes numbers that a float can hold. Programs also write ids of 17 digits and decimals
of 20 as numbers: their text is read here from the file. And a number format of zeros, such as
00000, shows the number 2139 as the postcode 02139, which is what people mean.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from openpyxl.utils import coordinate_to_tuple

from projects.reading.columns.precision import MAX_DIGITS, keeps_digits

Places = dict[tuple[int, int], str]  # Row and column from 0, and the number as written.
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_EXCEL_CELL = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>(?:<(?:\w+:)?f\b[^>]*/>|<(?:\w+:)?f\b[^>]*>[^<]*</(?:\w+:)?f>)?"
    rb"<(?:\w+:)?v>([-+0-9.eE]{%d,64})</" % (MAX_DIGITS + 1)
)
_STYLED_CELL = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>(?:<(?:\w+:)?f\b[^>]*/>|<(?:\w+:)?f\b[^>]*>[^<]*</(?:\w+:)?f>)?"
    rb"<(?:\w+:)?v>([0-9]{1,15})(?:[.]0+)?</"
)
_STYLE = re.compile(rb'\bs="([0-9]+)"')
_ZEROS = re.compile(r"0{2,}([-/. ]0+)*")
_UNSEEN_IN_FORMAT = re.compile(r'\[[^\]]*\]|[\\"]|;.*')
SPREADSHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_PLACE, _TYPE = re.compile(rb'\br="([A-Z]{1,3}[0-9]{1,7})"'), re.compile(rb'\bt="(\w+)"')
_NUMBER = re.compile(r"[-+]?(\d+([.]\d*)?|[.]\d+)([eE][-+]?\d{1,4})?")


def find_long_numbers(path: Path) -> dict[str, Places]:
    """For each sheet, the cells whose numbers a float would round, or would show without leading
    zeros."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "content.xml" in names:
                return _read_open_document(archive)
            if "xl/workbook.xml" not in names:
                return {}
            parts, zeros = list_sheet_parts(archive), _formats_of_zeros(archive)
            return {
                name: places
                for name, part in parts.items()
                if part in names and (places := _read_sheet(archive.read(part), zeros))
            }
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, OSError, ValueError):
        return {}  # The reader of the workbook itself reports what is wrong with it.


def _formats_of_zeros(archive: zipfile.ZipFile) -> dict[int, str]:
    """The number formats that pad with zeros, by the index of the cell style that uses them."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    root = ElementTree.fromstring(archive.read("xl/styles.xml"))
    codes = {
        element.get("numFmtId"): _UNSEEN_IN_FORMAT.sub("", element.get("formatCode", ""))
        for element in root.iter(f"{SPREADSHEET}numFmt")
    }
    styles = root.find(f"{SPREADSHEET}cellXfs")
    return {
        number: codes[kind]
        for number, element in enumerate(styles if styles is not None else ())
        if (kind := element.get("numFmtId")) in codes and _ZEROS.fullmatch(codes[kind])
    }


def list_sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The names of the sheets, and the parts of the archive that hold them."""
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    parts = {}
    for sheet in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter():
        if sheet.tag.endswith("}sheet") and (target := targets.get(sheet.get(RELATION))):
            is_absolute = target.startswith("/")
            parts[sheet.get("name", "")] = target[1:] if is_absolute else f"xl/{target}"
    return parts


def _read_sheet(content: bytes, zeros: Mapping[int, str]) -> Places:
    places = dict(_iter_padded(content, zeros)) if zeros else {}
    for cell in _EXCEL_CELL.finditer(content):
        kind, place = _TYPE.search(cell[1]), _PLACE.search(cell[1])
        text = cell[2].decode()
        if place and (kind is None or kind[1] == b"n") and _is_rounded(text):
            row, column = coordinate_to_tuple(place[1].decode())
            places[row - 1, column - 1] = text
    return places


def _iter_padded(content: bytes, zeros: Mapping[int, str]) -> Iterator[tuple[tuple[int, int], str]]:
    for cell in _STYLED_CELL.finditer(content):
        kind, place = _TYPE.search(cell[1]), _PLACE.search(cell[1])
        style = _STYLE.search(cell[1])
        pattern = zeros.get(int(style[1])) if style else None
        if pattern and place and (kind is None or kind[1] == b"n"):
            row, column = coordinate_to_tuple(place[1].decode())
            yield (row - 1, column - 1), _padded(cell[2].decode(), pattern)


def _padded(digits: str, pattern: str) -> str:
    """The digits in a format of zeros: 123456789 in 000-00-0000 is 123-45-6789."""
    width = pattern.count("0")
    filled = digits.zfill(width)
    ahead, rest = filled[: len(filled) - width], iter(filled[len(filled) - width :])
    return ahead + "".join(next(rest) if mark == "0" else mark for mark in pattern)


def _is_rounded(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and not keeps_digits(text)


def _read_open_document(archive: zipfile.ZipFile) -> dict[str, Places]:
    places_by_sheet: dict[str, Places] = {}
    with archive.open("content.xml") as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == f"{TABLE}table":
                if places := dict(_iter_open_document(element)):
                    places_by_sheet[element.get(f"{TABLE}name", "")] = places
                element.clear()
    return places_by_sheet


def _iter_open_document(table: ElementTree.Element) -> Iterator[tuple[tuple[int, int], str]]:
    """Rows and cells that repeat are written once, with their number."""
    row = 0
    for line in table.iter(f"{TABLE}table-row"):
        column = 0
        repeated_rows = int(line.get(f"{TABLE}number-rows-repeated", "1"))
        for cell in line:
            repeated = int(cell.get(f"{TABLE}number-columns-repeated", "1"))
            text = cell.get(f"{OFFICE}value", "")
            if len(text) > MAX_DIGITS and _is_rounded(text):
                for place in range(min(repeated, 1_000)):
                    for below in range(min(repeated_rows, 1_000)):
                        yield (row + below, column + place), text
            column += repeated
        row += repeated_rows
