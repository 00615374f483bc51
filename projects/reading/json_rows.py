"""JSON Lines (one object a line) and JSON arrays of objects as a Source.

Nested values stay JSON text, so that chat `messages` survive exactly as they were written.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from projects.reading.limits import (
    MOST_CELL_CHARS,
    MOST_COLUMNS,
    MOST_JSON_DOCUMENT_BYTES,
    MOST_LINE_CHARS,
)
from projects.reading.outcome import Issues, Reject, Source, Unreadable


def open_json(path: Path, *, is_array: bool) -> Source:
    """Rows of objects; the columns are all their keys in order of first appearance."""
    kinds: dict[str, set[str]] = {}
    for _, value in _values(path, is_array):
        if isinstance(value, dict):
            for key, item in value.items():
                kinds.setdefault(key, set()).add(_kind(item))
    if not kinds:
        raise Unreadable("no_rows", "No line of this file is a JSON object with fields.")
    if len(kinds) > MOST_COLUMNS:
        raise Unreadable(
            "too_many_columns",
            f"The objects have {len(kinds):,} different fields; at most"
            f" {MOST_COLUMNS:,} can be columns.",
        )
    keys = list(kinds)
    native = {index: _column_type(kinds[key]) for index, key in enumerate(keys)}
    return Source(
        names=[_text(key) for key in keys],
        rows=_rows(path, is_array, keys),
        dialect={"format": "json" if is_array else "jsonl", "encoding": "utf-8"},
        issues=Issues(),
        native=native,
    )


def _rows(path: Path, is_array: bool, keys: list[str]) -> "Iterator[list[str | None] | Reject]":
    for line, value in _values(path, is_array):
        if isinstance(value, Reject):
            yield value
        elif not isinstance(value, dict):
            yield Reject(line, "", "This is not a JSON object with fields.", [_cell(value) or ""])
        else:
            cells = [_cell(value.get(key)) for key in keys]
            if sum(len(cell or "") for cell in cells) > MOST_CELL_CHARS:
                reason = f"The row is longer than {MOST_CELL_CHARS:,} characters."
                yield Reject(line, "", reason, [cell or "" for cell in cells])
            else:
                yield cells


def _values(path: Path, is_array: bool) -> Iterator[tuple[int, Any]]:
    """Line (or item) numbers with the value found there, or a Reject in its place."""
    return _array_items(path) if is_array else _line_values(path)


def _line_values(path: Path) -> Iterator[tuple[int, Any]]:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        number = 0
        while line := file.readline(MOST_LINE_CHARS):
            number += 1
            if len(line) == MOST_LINE_CHARS:
                raise Unreadable("line_too_long", f"Line {number} is far too long for one row.")
            if line.strip():
                yield number, _parsed(line, number)


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"Not valid JSON: {error.msg} at character {error.colno}."
    except (RecursionError, ValueError):
        reason = "Not valid JSON: nested too deeply, or a number far too long."
    return Reject(number, "", reason, [line.rstrip("\r\n")[:MOST_CELL_CHARS]])


def _array_items(path: Path) -> Iterator[tuple[int, Any]]:
    if path.stat().st_size > MOST_JSON_DOCUMENT_BYTES:
        raise Unreadable(
            "json_too_large",
            "This JSON array is too large to read at once. Save it as JSON Lines, one object a"
            " line.",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable("bad_json", f"This file is not valid JSON: {error}.") from error
    rows = document if isinstance(document, list) else [document]
    yield from enumerate(rows, 1)


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if abs(value) < 2**63 else "text"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else "json"


def _column_type(kinds: set[str]) -> str:
    """The one type that holds all values; JSON when nested ones are mixed with others."""
    seen = kinds - {"missing"}
    if len(seen) == 1:
        return seen.pop()
    if seen == {"integer", "number"}:
        return "number"
    return "json" if "json" in seen else "text"


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _text(json.dumps(value, ensure_ascii=False))


def _text(value: str) -> str:
    """Text that can be stored: no NUL, and no half of a surrogate pair."""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
