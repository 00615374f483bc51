"""Finds the rows in a JSON document, whatever stands around them, and flattens their fields.

Understood: a list of objects; such a list inside objects ({"data": [...]}); one list for each split
({"train": [...], "test": [...]}); the shapes of pandas' to_json (columns, index, split, table,
values); objects one after another, indented or not; Label Studio's exports. Fields of nested
objects become columns such as "ticket.body"; lists and chats stay JSON.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

Row = dict[str, object]
MAX_WRAPPER_DEPTH = 4
MAX_FIELD_DEPTH = 6
MAX_NESTED_FIELDS = 60  # An object with more different keys is a map, not a record.
SPLIT_NAMES = {"train", "training", "validation", "valid", "val", "dev", "test", "eval", "holdout"}
SPLIT_COLUMN = "split"
# Fields whose content means something as a whole, to chats and annotations.
WHOLE_FIELDS = {"messages", "conversations", "conversation", "tools", "chosen", "rejected"}


class NoRows(Exception):
    """The document holds no rows, or several lists that could be them. The sentence says which."""


@dataclass
class FoundRows:
    """The rows of a document and what should be said about where they were."""

    rows: list[object]
    notes: list[str] = field(default_factory=list)


def parse_documents(text: str) -> Iterator[tuple[int, object]]:
    """Line numbers and values of JSON documents that follow one another, indented or not.

    Raises ValueError at the first text that is no JSON.
    """
    decoder, position, line = json.JSONDecoder(), 0, 1
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


def find_rows(document: object) -> FoundRows:
    """The rows of one document. Raises NoRows."""
    if isinstance(document, list):
        return _rows_of_list(document)
    if not isinstance(document, dict):
        raise NoRows("This JSON file holds a single value, not rows.")
    if WHOLE_FIELDS & set(document):
        return FoundRows([document])  # One chat, whose messages are no rows.
    for find in (_rows_of_pandas, _rows_of_splits, _rows_of_columns, _rows_of_wrapper):
        found = find(document)
        if found is not None:
            return found
    if any(isinstance(value, list | dict) and value for value in document.values()):
        raise NoRows(
            "No list of rows was found in this JSON file. Its fields are"
            f" {_listed(document)}. Save the rows as a list of objects, or one object a line."
        )
    return FoundRows([document])


def flatten_rows(rows: list[object]) -> list[object]:
    """Rows whose nested objects became fields "outer.inner"; other values are left alone."""
    if is_label_studio(rows):
        rows = [label_studio_row(row) for row in rows if isinstance(row, dict)]
    keys: dict[str, set[str]] = {}
    for row in rows:
        if isinstance(row, dict):
            collect_nested_keys(row, keys)
    maps = map_fields(keys)
    return [flatten_row(row, maps) if isinstance(row, dict) else row for row in rows]


def flatten_row(row: Row, maps: set[str]) -> Row:
    """The row with the fields of nested objects beside its own; `maps` stay objects."""
    return _flatten(row, maps)


def is_label_studio(rows: list[object]) -> bool:
    """Whether these are tasks of a Label Studio export (JSON, not JSON-MIN)."""
    tasks = [row for row in rows if isinstance(row, dict)]
    return bool(tasks) and all(
        isinstance(task.get("data"), dict)
        and isinstance(task.get("annotations", task.get("completions")), list)
        for task in tasks
    )


def label_studio_row(task: Row) -> Row:
    """A task's data and, for each control of the labelling page, what was chosen there.

    Of several annotations the first that was not cancelled counts; a task without one has no
    label.
    """
    data = task.get("data")
    row: Row = dict(data) if isinstance(data, dict) else {}
    annotations = task.get("annotations", task.get("completions")) or []
    for annotation in annotations if isinstance(annotations, list) else []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or []:
            name, value = _label_studio_result(result)
            if name:
                row[name if name not in row else f"{name}_label"] = value
        break
    return row


def _label_studio_result(result: object) -> tuple[str, object]:
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        return "", None
    value, kind = result["value"], str(result.get("type", ""))
    content = value.get(kind, value.get("choices", value))
    if (
        isinstance(content, list)
        and len(content) == 1
        and isinstance(content[0], str | int | float)
    ):
        content = content[0]
    return str(result.get("from_name") or kind), content


def _rows_of_list(items: list[object]) -> FoundRows:
    lists = [item for item in items if isinstance(item, list)]
    if lists and len(lists) == len(items):
        header, *rest = lists
        is_table = (
            len(rest) > 0
            and all(isinstance(name, str) for name in header)
            and all(len(row) == len(header) for row in rest)
            and not all(isinstance(cell, dict) for row in rest for cell in row)
        )
        if not is_table and all(_is_chat(row) for row in lists):
            return FoundRows(
                [{"messages": chat} for chat in lists],
                ["Each inner list was read as one chat, in the column messages."],
            )
        if not is_table:
            raise NoRows(
                "This JSON file is a list of lists. Give each row its field names, for example"
                ' {"messages": [...]} for a chat.'
            )
        rows: list[object] = [dict(zip(header, row, strict=True)) for row in rest]
        return FoundRows(rows, ["The first inner list was read as the names of the columns."])
    return FoundRows(items)


def _is_chat(row: list[object]) -> bool:
    """Whether a list is one of messages, of OpenAI's or of ShareGPT's form."""
    return bool(row) and all(
        isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in row
    )


def _rows_of_pandas(document: Row) -> FoundRows | None:
    """DataFrame.to_json in the orientations "split" and "table"."""
    columns, data = document.get("columns"), document.get("data")
    is_split = set(document) <= {"columns", "index", "data"} and isinstance(columns, list)
    if is_split and isinstance(data, list) and isinstance(columns, list):
        names = [str(column) for column in columns]
        if all(isinstance(row, list) and len(row) == len(names) for row in data):
            return FoundRows([dict(zip(names, row, strict=True)) for row in data])
    if isinstance(document.get("schema"), dict) and isinstance(data, list):
        return FoundRows([_without_index(row) for row in data])
    return None


def _without_index(row: object) -> object:
    return {k: v for k, v in row.items() if k != "index"} if isinstance(row, dict) else row


def _rows_of_splits(document: Row) -> FoundRows | None:
    """{"train": [...], "test": [...]}: the rows of all, with the name of their part."""
    parts = {name: value for name, value in document.items() if _is_row_list(value)}
    if not parts or not all(name.lower() in SPLIT_NAMES for name in parts):
        return None
    rows: list[object] = []
    sizes = []
    for name, part in parts.items():
        items = part if isinstance(part, list) else []
        sizes.append(f"{name} ({len(items):,})")
        for row in items:
            is_unnamed = isinstance(row, dict) and SPLIT_COLUMN not in row
            rows.append({**row, SPLIT_COLUMN: name} if is_unnamed else row)
    note = f"The parts {', '.join(sizes)} were joined; the column {SPLIT_COLUMN!r} says which."
    return FoundRows(rows, [note])


def _rows_of_columns(document: Row) -> FoundRows | None:
    """{"text": [...], "label": [...]}, or pandas' {"text": {"0": ...}} and {"0": {"text": ...}}."""
    lists = [value for value in document.values() if isinstance(value, list)]
    if len(lists) == len(document) >= 2 and all(_is_scalar_list(value) for value in lists):
        if len({len(values) for values in lists}) > 1:
            raise NoRows(
                "The lists of this JSON file have different lengths, so they are not the columns of"
                f" one table: {_listed(document)}."
            )
        return FoundRows(
            [dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True)]
        )
    dicts = [value for value in document.values() if isinstance(value, dict) and value]
    if len(dicts) != len(document) or len(dicts) < 2 or len({tuple(each) for each in dicts}) > 1:
        return None
    if all(key.isdigit() for key in dicts[0]):
        return FoundRows(
            [dict(zip(document, (each[key] for each in dicts), strict=True)) for key in dicts[0]]
        )
    return FoundRows(list(dicts)) if all(key.isdigit() for key in document) else None


def _rows_of_wrapper(document: Row, depth: int = 0, path: str = "") -> FoundRows | None:
    """The one list of objects inside objects, such as {"version": 1, "data": [...]}."""
    lists = [name for name, value in document.items() if _is_row_list(value)]
    if len(lists) > 1:
        names = ", ".join(repr(f"{path}{name}") for name in lists)
        raise NoRows(f"This JSON file holds several lists of objects: {names}. Save one of them.")
    if lists:
        rows = document[lists[0]]
        assert isinstance(rows, list)
        others = [name for name in document if name != lists[0]]
        notes = [f"The rows were found in {path + lists[0]!r}."]
        if others:
            notes.append(
                f"Left out, because they stand beside the rows: {', '.join(others)[:200]}."
            )
        return FoundRows(rows, notes)
    if depth < MAX_WRAPPER_DEPTH:
        inner = [(name, value) for name, value in document.items() if isinstance(value, dict)]
        found = [
            rows
            for name, value in inner
            if (rows := _rows_of_wrapper(value, depth + 1, f"{path}{name}.")) is not None
        ]
        if len(found) == 1:
            return found[0]
    return None


def _is_row_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_scalar_list(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and not any(isinstance(item, dict) for item in value)
    )


def map_fields(keys: dict[str, set[str]]) -> set[str]:
    """Paths of objects whose keys differ from row to row so much that they are no columns."""
    return {path for path, names in keys.items() if len(names) > MAX_NESTED_FIELDS}


def collect_nested_keys(row: Row, keys: dict[str, set[str]]) -> None:
    """Add the keys of every nested object to those seen under its path."""
    _collect_keys(row, "", keys, 0)


def _collect_keys(value: Row, path: str, keys: dict[str, set[str]], depth: int) -> None:
    for name, item in value.items():
        if isinstance(item, dict) and name not in WHOLE_FIELDS and depth < MAX_FIELD_DEPTH:
            inner = f"{path}{name}."
            if len(names := keys.setdefault(inner, set())) <= MAX_NESTED_FIELDS:
                names |= set(item)
            _collect_keys(item, inner, keys, depth + 1)


def _flatten(row: Row, maps: set[str], path: str = "", depth: int = 0) -> Row:
    flat: Row = {}
    for name, value in row.items():
        inner = f"{path}{name}."
        if isinstance(value, dict) and set(value) == {"choices"}:  # Label Studio's JSON-MIN.
            flat[f"{path}{name}"] = value["choices"]
        elif (
            isinstance(value, dict)
            and value
            and name not in WHOLE_FIELDS
            and inner not in maps
            and depth < MAX_FIELD_DEPTH
        ):
            flat |= _flatten(value, maps, inner, depth + 1)
        else:
            flat[f"{path}{name}"] = value
    return flat


def _listed(document: Row) -> str:
    names = [repr(name) for name in document]
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
