"""Finds the rows in a JSON document, whatever stands around them, and flattens their fields.

Understood: a list of objects; such a list inside objects ({"data": [...]}); one list for each split
({"train": [...], "test": [...]}); the shapes of pandas' to_json (columns, index, split, table,
values); objects one after another, indented or not; SQuAD; Label Studio's exports. Fields of nested
objects become columns such as "ticket.body"; lists and chats stay JSON.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from projects.reading.csv.header_rows import judge_header
from projects.reading.json.annotations import Row
from projects.reading.json.question_answering import find_questions
from projects.reading.json.shapes import WHOLE_FIELDS

MAX_WRAPPER_DEPTH = 4
MIN_KEYED_RECORDS, MAX_KEYED_FIELDS, MIN_SHARED = 5, 60, 0.6
SPLIT_NAMES = {"train", "training", "validation", "valid", "val", "dev", "test", "eval", "holdout"}
SPLIT_COLUMN = "split"


class NoRows(Exception):
    """The document holds no rows, or several lists that may be the rows; the message says which."""


@dataclass
class DocumentRows:
    """The rows of a document, and notes for the customer on where in it they were."""

    rows: list[object]
    notes: list[str] = field(default_factory=list)


def parse_documents(text: str, decoder: json.JSONDecoder) -> Iterator[tuple[int, object]]:
    """Line numbers and values of JSON documents that follow one another, indented or not.

    Raises ValueError at the first text that is no JSON.
    """
    position, line = 0, 1
    while True:
        start = position
        while position < len(text) and text[position] in " \t\r\n,\ufeff":
            position += 1
        line += text.count("\n", start, position)
        if position == len(text):
            return
        value, end = decoder.raw_decode(text, position)
        yield line, value
        line += text.count("\n", position, end)
        position = end


def find_rows(document: object) -> DocumentRows:
    """The rows of one document. Raises NoRows."""
    if (questions := find_questions(document)) is not None:
        return DocumentRows(*questions)
    if isinstance(document, list):
        return _rows_of_list(document)
    if not isinstance(document, dict):
        raise NoRows("This JSON file holds a single value, not rows.")
    if {"cells", "nbformat"} <= document.keys():
        raise NoRows("This is a Jupyter notebook. Save the table that it shows as CSV or Parquet.")
    if any(_is_turns(document[name]) for name in WHOLE_FIELDS & set(document)):
        return DocumentRows([document])  # One chat, whose messages are no rows.
    for find in (
        _rows_of_pandas, _rows_of_splits, _rows_of_columns, _rows_of_wrapper, _rows_by_key,
    ):  # fmt: skip
        rows = find(document)
        if rows is not None:
            return rows
    if any(isinstance(value, list | dict) and value for value in document.values()):
        raise NoRows(
            "No list of rows was found in this JSON file. Its fields are"
            f" {_listed(document)}. Save the rows as a list of objects, or one object a line."
        )
    return DocumentRows([document])


def _rows_of_list(items: list[object]) -> DocumentRows:
    lists = [item for item in items if isinstance(item, list)]
    if lists and len(lists) == len(items):
        header, *body = lists
        is_table = (
            len(body) > 0
            and all(isinstance(name, str) for name in header)
            and all(len(row) == len(header) for row in body)
            and not all(isinstance(cell, dict) for row in body for cell in row)
        )
        if not is_table and all(_is_chat(row) for row in lists):
            return DocumentRows(
                [{"messages": chat} for chat in lists],
                ["Each inner list was read as one chat, in the column messages."],
            )
        if not is_table:
            raise NoRows(
                "This JSON file is a list of lists. Give each row its field names, for example"
                ' {"messages": [...]} for a chat.'
            )
        return _rows_of_table(header, body)
    return DocumentRows(items)


def _rows_of_table(first: list[object], lists: list[list[object]]) -> DocumentRows:
    """Lists of cells, the first of which names the columns where it reads as names."""
    names = [str(name) for name in first]
    body = [["" if cell is None else str(cell) for cell in row] for row in lists]
    if judge_header(names, body).is_header:
        note = "The first inner list was read as the names of the columns."
        return DocumentRows([dict(zip(names, row, strict=True)) for row in lists], [note])
    names = [f"column_{place}" for place in range(1, len(first) + 1)]
    note = "The first inner list was read as a row, not as the names of the columns."
    return DocumentRows([dict(zip(names, row, strict=True)) for row in [first, *lists]], [note])


def _is_chat(row: list[object]) -> bool:
    """Whether a list is one of messages, of OpenAI's or of ShareGPT's form."""
    return bool(row) and all(
        isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in row
    )


def _is_turns(value: object) -> bool:
    """Whether a field holds turns of one chat. Messengers and help desks export the messages of
    many people, or many conversations, under the same names: those are rows."""
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return bool(value)
    return any(
        isinstance(item, dict) and ("role" in item or {"from", "value"} <= item.keys())
        for item in value
    )


def _rows_of_pandas(document: Row) -> DocumentRows | None:
    """DataFrame.to_json in the orientations "split" and "table"."""
    columns, data = document.get("columns"), document.get("data")
    is_split = set(document) <= {"columns", "index", "data"} and isinstance(columns, list)
    if is_split and isinstance(data, list) and isinstance(columns, list):
        names = [str(column) for column in columns]
        if all(isinstance(row, list) and len(row) == len(names) for row in data):
            return DocumentRows([dict(zip(names, row, strict=True)) for row in data])
    if isinstance(document.get("schema"), dict) and isinstance(data, list):
        return DocumentRows(
            [
                {name: value for name, value in row.items() if name != "index"}
                if isinstance(row, dict)
                else row
                for row in data
            ]
        )
    return None


def _rows_of_splits(document: Row) -> DocumentRows | None:
    """{"train": [...], "test": [...]}: the rows of all, with the name of their part. Rows may be
    lists of cells, as in CLINC's {"train": [["text", "intent"], ...], "oos_train": [...]}."""
    parts = {
        name: cast(list[object], value)
        for name, value in document.items()
        if _is_row_list(value) or _is_list_of_pairs(value)
    }
    splits = {name: _split_named(name) for name in parts}
    if not parts or not all(splits.values()):
        return None
    rows: list[object] = []
    for name, part in parts.items():
        for item in part:
            row = cast(Row, _cells_by_place(item) if isinstance(item, list) else item)
            rows.append({**row, SPLIT_COLUMN: splits[name]} if SPLIT_COLUMN not in row else row)
    sizes = ", ".join(f"{name} ({len(part):,})" for name, part in parts.items())
    notes = [f"The parts {sizes} were joined; the column {SPLIT_COLUMN!r} says which."]
    return DocumentRows(rows, notes)


def _split_named(name: str) -> str:
    """The split that a part's name says, as in train and oos_train; "" where it says none."""
    if name.lower() in SPLIT_NAMES:
        return name
    words = re.split(r"[^a-z]+", name.lower())
    return next((word for word in words if word in SPLIT_NAMES), "")


def _is_list_of_pairs(value: object) -> bool:
    """Whether these are rows of cells, all as long, and of two or more."""
    return (
        isinstance(value, list)
        and all(isinstance(row, list) and len(row) > 1 for row in value)
        and len({len(row) for row in value}) == 1
        and not any(isinstance(cell, dict | list) for row in value for cell in row)
    )


def _cells_by_place(cells: list[object]) -> Row:
    return {f"column_{place}": cell for place, cell in enumerate(cells, 1)}


def _rows_of_columns(document: Row) -> DocumentRows | None:
    """{"text": [...], "label": [...]}, or pandas' {"text": {"0": ...}} and {"0": {"text": ...}}."""
    lists = [value for value in document.values() if isinstance(value, list)]
    if len(lists) == len(document) >= 2 and all(_is_scalar_list(value) for value in lists):
        if len({len(values) for values in lists}) > 1:
            raise NoRows(
                "The lists of this JSON file have different lengths, so they are not the columns of"
                f" one table: {_listed(document)}."
            )
        return DocumentRows(
            [dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True)]
        )
    dicts = [value for value in document.values() if isinstance(value, dict) and value]
    if len(dicts) != len(document) or len(dicts) < 2 or len({tuple(each) for each in dicts}) > 1:
        return None
    if all(key.isdigit() for key in dicts[0]):
        return DocumentRows(
            [dict(zip(document, (each[key] for each in dicts), strict=True)) for key in dicts[0]]
        )
    return DocumentRows(list(dicts)) if all(key.isdigit() for key in document) else None


def _rows_of_wrapper(document: Row, depth: int = 0, path: str = "") -> DocumentRows | None:
    """The one list of objects inside objects, such as {"version": 1, "data": [...]}."""
    lists = [name for name, value in document.items() if _is_row_list(value)]
    # Objects of one field, such as the names of a chat's participants, are no rows beside others.
    records = {name: cast(list[Row], document[name]) for name in lists}
    lists = [name for name, rows in records.items() if any(len(row) > 1 for row in rows)] or lists
    if len(lists) > 1:
        names = ", ".join(repr(f"{path}{name}") for name in lists)
        raise NoRows(f"This JSON file holds several lists of objects: {names}. Save one of them.")
    if lists:
        others = [name for name in document if name != lists[0]]
        notes = [f"The rows were found in {path + lists[0]!r}."]
        if others:
            notes.append(
                f"Left out, because they stand beside the rows: {', '.join(others)[:200]}."
            )
        return DocumentRows(list(records[lists[0]]), notes)
    if depth < MAX_WRAPPER_DEPTH:
        inner = [(name, value) for name, value in document.items() if isinstance(value, dict)]
        nested = [
            rows
            for name, value in inner
            if (rows := _rows_of_wrapper(value, depth + 1, f"{path}{name}.")) is not None
        ]
        if len(nested) == 1:
            return nested[0]
    return None


def _rows_by_key(document: Row) -> DocumentRows | None:
    """{"id1": {"text": ...}, "id2": {"text": ...}}: records by their names, as Firebase keeps them.
    They share most fields."""
    records = {name: value for name, value in document.items() if isinstance(value, dict)}
    if len(records) == len(document) == 1:
        return _rows_by_key(next(iter(records.values())))
    if len(records) < MIN_KEYED_RECORDS or len(records) < len(document):
        return None
    counts = Counter(field for record in records.values() for field in record)
    if not counts or len(counts) > MAX_KEYED_FIELDS:
        return None
    if counts.total() < MIN_SHARED * len(counts) * len(records):
        return None
    name = "key" if "key" not in counts else "key_of_record"
    note = f"The records were found by their names, which are in the column {name!r}."
    return DocumentRows([{name: key, **record} for key, record in records.items()], [note])


def _is_row_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_scalar_list(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and not any(isinstance(item, dict) for item in value)
    )


def _listed(document: Row) -> str:
    names = [repr(name) for name in document]
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
