"""What is compared of a row that a model reads: of its training data and of requests alike."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from engine.artifact import Feature, Inputs
from engine.errors import BadTrainingData
from engine.tasks.tabular.encoder import parse_category, parse_datetime, parse_number, to_days
from inference.models.request_log import MAX_LOGGED_CHARACTERS

Value = float | str | None
Cells = Mapping[str, Any]


def text_of(row: object, inputs: Inputs) -> str | None:
    """What a model of texts or chats is asked, cut as the log cuts it; None for what is no such
    row.

    A row is a text, a chat's messages, or cells by their columns.
    """
    if isinstance(row, Mapping):
        cells = [row.get(name) for name in inputs.columns]
        row = cells[0] if len(cells) == 1 else _joined(cells, inputs.text_separator)
    if inputs.kind == "chat":
        row = _last_question(row)
    return row[:MAX_LOGGED_CHARACTERS] if isinstance(row, str) else None


def _joined(cells: list[object], separator: str) -> str:
    return separator.join("" if cell is None else str(cell) for cell in cells)


def _last_question(chat: object) -> object:
    """What the person asked last in a chat, given as messages, as their JSON, or as a prompt."""
    if isinstance(chat, str):
        if not chat.lstrip().startswith("["):
            return chat
        try:
            chat = json.loads(chat)
        except ValueError:
            return None
    asked = [
        message.get("content")
        for message in (chat if isinstance(chat, list) else [])
        if isinstance(message, dict) and message.get("role") == "user"
    ]
    return asked[-1] if asked else None


def cells_of(row: object) -> Cells | None:
    """A request's row of features, as cells or as the log keeps it; None for what was cut off."""
    if isinstance(row, str):
        try:
            row = json.loads(row)
        except ValueError:
            return None
    return row if isinstance(row, Mapping) else None


def cell_reader(feature: Feature) -> Callable[[object], Value]:
    """Reads a cell as the model does: dates as days since 1970, None for a missing value and for
    what the model refuses."""

    def read(cell: object) -> Value:
        try:
            if feature.kind == "category":
                return parse_category(cell) or None
            if feature.kind == "date":
                number = to_days(parse_datetime(feature, cell))
            else:
                number = parse_number(feature, cell)
        except BadTrainingData:
            return None
        return None if math.isnan(number) else number

    return read
