"""Requests of the log as rows of the dataset that the deployed model learnt from."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from inference.models import RequestLog
from inference.models.request_log import MAX_LOGGED_CHARACTERS
from projects.reading.personal_data import mask, mask_json

_EMBEDDINGS = re.compile(r"\d+ embeddings")  # The log's answer where no prediction was asked for.
NewRow = dict[str, str | None]


@dataclass(frozen=True)
class ModelColumns:
    """What a model reads and answers, as columns of its dataset."""

    kind: str  # text, features or chat.
    inputs: list[str]
    target: str  # Of a chat model with one column of messages an empty text.
    has_several_labels: bool = False  # Then an empty answer says that none of them fits.
    is_number: bool = False  # The answer.


@dataclass(frozen=True)
class LoggedRow:
    """One row of a request, whole, and what the model answered to it."""

    request_id: str
    asked: object
    answer: str


def columns_of(manifest: Mapping[str, object]) -> ModelColumns | None:
    """None for models whose requests are no rows as they stand: of pictures, and of labels in
    columns of their own."""
    inputs = cast(Mapping[str, object], manifest.get("inputs") or {})
    target = cast(Mapping[str, object], manifest.get("target") or {})
    columns = cast("list[str]", inputs.get("columns") or [])
    kind, column = str(inputs.get("kind")), str(target.get("column") or "")
    is_chat = kind == "chat" and (bool(column) or len(columns) == 1)
    if not columns or not (is_chat or (kind in ("text", "features") and column)):
        return None
    answers = target.get("kind")
    return ModelColumns(kind, columns, column, answers == "labels", answers == "number")


def asks_for_embeddings(entry: RequestLog) -> bool:
    return bool(entry.answers) and bool(_EMBEDDINGS.fullmatch(entry.answers[0]))


def asked_row(entry: RequestLog) -> object:
    """What a request of one row asked; None where the log does not have it whole."""
    if entry.asked is not None:
        return entry.asked
    return _row_of_log(entry.inputs[0] if entry.inputs else None)


def whole_rows(entry: RequestLog, columns: ModelColumns) -> Iterator[LoggedRow]:
    """The rows of an answered request that the log has whole, each with its answer. It keeps the
    first rows of a request, the start of long texts, and one answer of a language model."""
    if entry.status != 200 or asks_for_embeddings(entry):
        return
    is_chat = columns.kind == "chat"
    if is_chat and (entry.rows != 1 or entry.asked is None):
        return  # Perhaps earlier turns, or several answers, that the log does not tell apart.
    rows = [asked_row(entry)] if entry.rows == 1 else map(_row_of_log, entry.inputs)
    for row, answer in zip(rows, entry.answers, strict=False):
        is_cut = row is None or (is_chat and len(answer) >= MAX_LOGGED_CHARACTERS)
        if not is_cut and (answer or columns.has_several_labels):
            yield LoggedRow(entry.request_id, row, answer)


def input_cells(request_input: object, columns: ModelColumns) -> NewRow | None:
    """What was asked by the columns that the model reads; None for what is no row of this model, as
    a chat with earlier turns where the dataset has a column of prompts."""
    if columns.kind == "chat":
        return _chat_cells(request_input, columns)
    if isinstance(request_input, str) and columns.kind == "text" and len(columns.inputs) == 1:
        request_input = {columns.inputs[0]: request_input}
    if not isinstance(request_input, dict):
        return None
    row = {name: _cell(request_input.get(name)) for name in columns.inputs}
    return row if any(cell and cell.strip() for cell in row.values()) else None


def training_row(request_input: object, answer: str, columns: ModelColumns) -> NewRow | None:
    """The row with this answer as its target; None for what is no row of this model."""
    row = input_cells(request_input, columns)
    if row is None or columns.target:
        return row and {**row, columns.target: answer}
    return {columns.inputs[0]: conversation(request_input, answer)}


def conversation(request_input: object, answer: str) -> str:
    """A chat as a cell of one column: its messages with the answer behind them."""
    messages = [*cast("list[object]", request_input), {"role": "assistant", "content": answer}]
    return json.dumps(messages, ensure_ascii=False)


def masked_row(row: NewRow, names: list[str]) -> NewRow:
    """With the personal data of these columns replaced by its kind."""
    return {
        name: cell if cell is None or name not in names else _mask_cell(cell)
        for name, cell in row.items()
    }


def _row_of_log(text: object) -> object:
    """Of entries that keep no row of their own: the text as logged, unless it was cut off."""
    if not isinstance(text, str):
        return text
    if len(text) >= MAX_LOGGED_CHARACTERS:
        return None
    try:
        cells = json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text
    return cells if isinstance(cells, dict) else text


def _chat_cells(request_input: object, columns: ModelColumns) -> NewRow | None:
    if not columns.target:
        is_chat = isinstance(request_input, list)
        return (
            {columns.inputs[0]: json.dumps(request_input, ensure_ascii=False)} if is_chat else None
        )
    if (
        isinstance(request_input, list)
        and len(request_input) == 1
        and request_input[0].get("role") == "user"
    ):
        request_input = request_input[0].get("content")
    # A system's message or earlier turns have no column of a prompt to be in.
    if not isinstance(request_input, str) or len(columns.inputs) != 1 or not request_input.strip():
        return None
    return {columns.inputs[0]: request_input}


def _cell(value: object) -> str | None:
    """A value of a request as a cell of the table."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _mask_cell(cell: str) -> str:
    return mask_json(cell) if cell.startswith("[{") else mask(cell)
