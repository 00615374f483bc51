"""Cells of a table as people read them: text, or the turns of a chat."""

import json
from dataclasses import dataclass, field

MAX_TURNS, MAX_LETTERS = 6, 400


@dataclass(frozen=True)
class Turn:
    role: str
    text: str


@dataclass(frozen=True)
class Cell:
    """`text` is None where the value is missing; a chat has its first `turns`."""

    text: str | None
    turns: list[Turn] = field(default_factory=list)
    hidden_turns: int = 0  # Turns of the chat after those.


def display_cell(raw: str | float | bool | None) -> Cell:
    """A JSON list of messages becomes turns; whatever else is in a cell is shown as text."""
    value = None if raw is None else str(raw)
    if isinstance(raw, bool):
        value = "true" if raw else "false"  # As JSON and the labels write it.
    if value is None or not value.startswith("[{"):
        return Cell(value)
    try:
        messages = json.loads(value)
    except ValueError:  # Cut, or text that only begins like JSON.
        return Cell(value)
    turns = [
        Turn(str(message["role"]), str(message.get("content") or "")[:MAX_LETTERS])
        for message in messages
        if isinstance(message, dict) and "role" in message
    ]
    if len(turns) != len(messages):
        return Cell(value)
    return Cell(value, turns[:MAX_TURNS], max(0, len(turns) - MAX_TURNS))
