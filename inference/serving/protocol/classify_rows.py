"""Each row of a classify request as the model reads it, or what is wrong with that one row.

Rows are read as uploads are: fields that the model does not know are ignored and named in a note,
blank ones are missing values, and texts of several columns are given by the columns' names.
"""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.artifact import Inputs
from inference.serving.protocol.body import JsonObject, check_number, check_text
from inference.serving.protocol.errors import ApiError, bad_request

MAX_CHARACTERS = 100_000  # Of one text; models read a few hundred tokens of it.
MAX_NAMED = 5
ModelRow = str | bytes | Mapping[str, object]


@dataclass
class ReadRows:
    """Rows by their position in the request, and the problems of the others."""

    rows: dict[int, ModelRow] = field(default_factory=dict)
    problems: dict[int, ApiError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_rows(rows: list[object], inputs: Inputs, param: str, *, is_list: bool) -> ReadRows:
    """Raises nothing: a bad row is a problem of its own, never of its neighbours."""
    read, ignored = ReadRows(), Counter[str]()
    for position, row in enumerate(rows):
        place = f"{param}[{position}]" if is_list else param
        try:
            _check_cells(row, place)
            read.rows[position] = _read_row(row, inputs, place)
        except ApiError as problem:
            read.problems[position] = problem
            continue
        if isinstance(row, dict):
            ignored.update(row.keys() - set(inputs.columns))
    if ignored:
        named = ", ".join(name[:40] for name, _ in ignored.most_common(MAX_NAMED))
        more = " and others" if len(ignored) > MAX_NAMED else ""
        read.notes.append(
            f"The model does not read these fields, so they were ignored: {named}{more}."
        )
    return read


def _check_cells(row: object, place: str) -> None:
    if isinstance(row, dict):
        for name, value in row.items():
            if isinstance(value, list | dict):
                raise bad_request(f"{place}: {name[:40]!r} must be a single value.", place)
            if isinstance(value, str):
                check_text(value, f"{place}.{name[:40]}")
            elif isinstance(value, int | float):
                check_number(value, f"{place}.{name[:40]}")
    elif isinstance(row, str):
        check_text(row, place)
    else:
        raise bad_request(f"{place} must be a text, or an object of features.", place)


def _read_row(row: object, inputs: Inputs, place: str) -> ModelRow:
    if inputs.kind == "features":
        if not isinstance(row, dict):
            raise bad_request(f"{_expected_rows(inputs)}. {place} is something else.", place)
        return row
    if isinstance(row, dict) and inputs.kind == "text":
        row = _join_columns(row, inputs, place)
    if not isinstance(row, str):
        raise bad_request(f"{_expected_rows(inputs)}. {place} is something else.", place)
    if inputs.kind == "image":
        return _decode_image(row, place)
    if len(row) > MAX_CHARACTERS:
        raise bad_request(f"{place} is longer than {MAX_CHARACTERS:,} characters.", place)
    return row


def _join_columns(row: JsonObject, inputs: Inputs, place: str) -> str:
    """The text columns in the order of training, without those that have no text."""
    if not row.keys() & set(inputs.columns):
        raise bad_request(
            f"{place} has none of the columns that the model reads: {', '.join(inputs.columns)}.",
            place,
        )
    cells = (row.get(name) for name in inputs.columns)
    texts = (str(cell).strip() for cell in cells if cell is not None)
    return inputs.text_separator.join(text for text in texts if text)


def _expected_rows(inputs: Inputs) -> str:
    if inputs.kind == "features":
        example = json.dumps(dict.fromkeys(inputs.columns[:2], "…"), ensure_ascii=False)
        return f"This model reads a table's features: send objects such as {example}"
    if inputs.kind == "image":
        return "This model reads pictures: send each as base64 text"
    return "This model reads texts"


def _decode_image(text: str, place: str) -> bytes:
    """Base64, with or without the head of a data URL."""
    try:
        return base64.b64decode(text.partition(",")[2] or text, validate=True)
    except ValueError:
        raise bad_request(f"{place} must be a picture as base64 text.", place) from None
