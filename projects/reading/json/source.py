"""JSON Lines (one object a line) and JSON arrays of objects as a Source.

Nested values stay JSON text, so that chat `messages` survive exactly as they were written.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from projects.reading.columns.inference import STRING
from projects.reading.csv.row_estimate import refuse_long_json_lines
from projects.reading.encodings import detection as encodings
from projects.reading.json.exports import UnreadableRow
from projects.reading.json.rows import NoRows, find_rows, parse_documents
from projects.reading.json.scripts import strip_script
from projects.reading.json.shapes import (
    CountingDecoder,
    Shape,
    ShapeFinder,
    flatten_rows,
)
from projects.reading.json.typed_values import parse_float
from projects.reading.limits import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_JSON_DOCUMENT_BYTES,
    MAX_LINE_CHARS,
)
from projects.reading.results import (
    Issues,
    ReadingOptions,
    RejectedRow,
    TableSource,
    UnreadableFile,
)

SAMPLE_CHARACTERS = 64 * 1024
ACCENTED_TEXTS = 500  # Of which it is asked whether they were converted twice.
PLAIN_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=parse_float)
EXACT_INTEGERS = 2**53  # Above it a float64 no longer tells neighbours apart.


def open_json(path: Path, overrides: ReadingOptions, *, is_array: bool) -> TableSource:
    """Rows of objects, whatever stands around them; nested fields become columns "outer.inner".

    The columns are all fields in order of first appearance. Raises UnreadableFile.
    """
    issues = Issues()
    encoding = encodings.choose_encoding(path, overrides)
    encodings.report_doubts(encoding, issues)
    document = _read_document(path, encoding.name, is_array, issues)
    if document is not None:
        values: Callable[[], Iterator[tuple[int, object]]] = lambda: enumerate(document, 1)  # noqa: E731
    else:
        shape = _find_shape(path, encoding.name, issues)
        values = lambda: _iter_flat_lines(path, encoding.name, shape)  # noqa: E731
    kinds: dict[str, set[str]] = {}
    accented: list[str] = []
    reason = "No line of this file is a JSON object with fields."
    for _, value in values():
        if isinstance(value, dict):
            for key, item in value.items():
                kinds.setdefault(key, set()).add(_value_type(item))
                if len(accented) < ACCENTED_TEXTS and isinstance(item, str) and not item.isascii():
                    accented.append(item)
        elif isinstance(value, UnreadableRow):
            reason = str(value)
    encodings.report_double_encoding(accented, issues)
    if not kinds:
        raise UnreadableFile("no_rows", reason)
    if len(kinds) > MAX_COLUMNS:
        raise UnreadableFile(
            "too_many_columns",
            f"The objects have {len(kinds):,} different fields; at most"
            f" {MAX_COLUMNS:,} can be columns.",
        )
    keys = list(kinds)
    return TableSource(
        names=[_storable_text(key) for key in keys],
        rows=_iter_rows(values(), keys),
        dialect={
            "format": "json" if document is not None else "jsonl",
            "encoding": encoding.base_name,
        },
        issues=issues,
        native_types={index: _column_type(kinds[key]) for index, key in enumerate(keys)},
    )


def _read_document(
    path: Path, encoding: str, is_array: bool, issues: Issues
) -> list[object] | None:
    """The flat rows of a file that is one document; None when it is one object a line."""
    if not is_array and not _is_one_document(path, encoding):
        return None
    if path.stat().st_size > MAX_JSON_DOCUMENT_BYTES:
        raise UnreadableFile(
            "json_too_large",
            "This JSON array is too large to read at once. Save it as JSON Lines, one object a"
            " line.",
        )
    text = path.read_text(encoding=_without_mark(encoding), errors="replace")
    text, script = strip_script(text) if is_array else (text, "")
    if script:
        issues.add("json_shape", f"JavaScript before the first bracket was left out: {script[:60]}")
    decoder = CountingDecoder()
    try:
        values = [value for _, value in parse_documents(text, decoder)]
        document = find_rows(values[0] if len(values) == 1 else values)
    except NoRows as refusal:
        raise UnreadableFile("no_rows", str(refusal)) from refusal
    except (ValueError, RecursionError) as error:
        if not is_array:
            return None  # Lines that are no JSON are rejected one by one.
        raise UnreadableFile("bad_json", f"This file is not valid JSON: {error}.") from error
    for note in document.notes:
        issues.add("json_shape", note)
    decoder.report(issues)
    return flatten_rows(document.rows, issues)


def _is_one_document(path: Path, encoding: str) -> bool:
    """Whether the first line is not a row by itself: the whole file, or the start of an object."""
    with open(path, encoding=_without_mark(encoding), errors="replace") as file:
        first = file.readline(MAX_LINE_CHARS)
        while first and not first.strip():
            first = file.readline(MAX_LINE_CHARS)
        if not file.read(SAMPLE_CHARACTERS).strip():
            return True
    parsed = _parse_line(first, 1)
    if isinstance(parsed, list) and parsed:
        return True  # A row a line, as a list of cells or of messages.
    return isinstance(parsed, RejectedRow) and first.strip() in ("{", "[", "{}", "[]")


def _without_mark(encoding: str) -> str:
    """The codec that also takes away a byte order mark."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _find_shape(path: Path, encoding: str, issues: Issues) -> Shape:
    """How the objects of a file of lines become rows, from all of them."""
    refuse_long_json_lines(path)
    finder, decoder = ShapeFinder(), CountingDecoder()
    for _, value in _iter_json_lines(path, encoding, decoder):
        if isinstance(value, dict):
            finder.add(value)
    finder.report(issues)
    decoder.report(issues)
    return finder.shape


def _iter_flat_lines(path: Path, encoding: str, shape: Shape) -> Iterator[tuple[int, object]]:
    for line, value in _iter_json_lines(path, encoding):
        yield line, shape.flatten(value) if isinstance(value, dict) else value


def _iter_rows(
    values: Iterator[tuple[int, object]], keys: list[str]
) -> "Iterator[list[str | None] | RejectedRow]":
    for line, value in values:
        if isinstance(value, RejectedRow):
            yield value
        elif isinstance(value, UnreadableRow):
            yield RejectedRow(line, "", str(value), [])
        elif not isinstance(value, dict):
            yield RejectedRow(
                line, "", "This is not a JSON object with fields.", [_to_cell(value) or ""]
            )
        else:
            cells = [_to_cell(value.get(key)) for key in keys]
            if sum(len(cell or "") for cell in cells) > MAX_CELL_CHARS:
                reason = f"The row is longer than {MAX_CELL_CHARS:,} characters."
                yield RejectedRow(line, "", reason, [cell or "" for cell in cells])
            else:
                yield cells


def _iter_json_lines(
    path: Path, encoding: str, decoder: json.JSONDecoder = PLAIN_DECODER
) -> Iterator[tuple[int, object]]:
    """Line numbers with the value found there, or a RejectedRow in its place."""
    with open(path, encoding=_without_mark(encoding), errors="replace") as file:
        number = 0
        while line := file.readline(MAX_LINE_CHARS):
            number += 1
            if len(line) == MAX_LINE_CHARS:
                raise UnreadableFile("line_too_long", f"Line {number} is far too long for one row.")
            if line.strip():
                yield number, _parse_line(line, number, decoder)


def _parse_line(line: str, number: int, decoder: json.JSONDecoder = PLAIN_DECODER) -> object:
    try:
        return decoder.decode(line.lstrip("\ufeff"))  # Of files that were joined.
    except json.JSONDecodeError as error:
        bare = line.rstrip()
        if bare.endswith("},"):  # Lines taken out of a list.
            return _parse_line(bare[:-1], number, decoder)
        reason = f"Not valid JSON: {error.msg} at character {error.colno}."
    except (RecursionError, ValueError):
        reason = "Not valid JSON: nested too deeply, or a number far too long."
    return RejectedRow(number, "", reason, [line.rstrip("\r\n")[:MAX_CELL_CHARS]])


def _value_type(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if abs(value) >= 2**63:
            return "text"
        return "integer" if abs(value) <= EXACT_INTEGERS else "large_integer"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else "json"


def _column_type(kinds: set[str]) -> str:
    """The one type that holds all values; JSON when nested ones are mixed with others."""
    types = kinds - {"missing"}
    if types == {"text"}:
        return STRING
    if "large_integer" in types and types <= {"integer", "large_integer"}:
        return "integer"
    if len(types) == 1:
        return types.pop()
    if types == {"integer", "number"}:
        return "number"
    return "json" if "json" in types else "text"


def _to_cell(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else None
    return _storable_text(json.dumps(value, ensure_ascii=False))


def _storable_text(value: str) -> str:
    """Text that can be stored: no NUL, and no half of a surrogate pair."""
    return value.replace("\0", "").removeprefix("\ufeff").encode("utf-8", "replace").decode("utf-8")
