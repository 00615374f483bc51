"""The first chats of a dataset as a model would learn them: which turns are read, which learnt."""

from dataclasses import dataclass
from typing import Any

from engine.generation.chats import BadChat, parse_chat, up_to_last_answer
from projects import preview
from projects.models import DatasetVersion

SHOWN_CHATS = 5
MOST_TURNS = 12
LONGEST_PROBLEM = 300


@dataclass(frozen=True)
class Turn:
    role: str
    text: str
    is_learnt: bool


@dataclass(frozen=True)
class ShownChat:
    """One row of the data; `problem` says why it would be skipped."""

    row: int
    turns: list[Turn]
    more: int  # Turns that are not shown.
    problem: str = ""


def shown_chats(version: DatasetVersion, column: str) -> list[ShownChat]:
    """Of the first rows; none for a column that the data lacks."""
    cells = preview.cells(version, [column], SHOWN_CHATS)
    return [_shown(row, value) for row, (value,) in enumerate(cells)]


def shown_pairs(version: DatasetVersion, prompts: list[str], completion: str) -> list[ShownChat]:
    """Rows of prompt columns and a completion, as the chats they become."""
    rows = preview.rows(version, prompts, completion, SHOWN_CHATS)
    return [
        ShownChat(
            number,
            [Turn("user", row["text"], False), Turn("assistant", row["target"], True)],
            0,
        )
        for number, row in enumerate(rows)
    ]


def _shown(row: int, value: Any) -> ShownChat:
    try:
        chat = up_to_last_answer(parse_chat(value))
    except BadChat as problem:
        return ShownChat(row, [], 0, f"Skipped: the chat {problem}."[:LONGEST_PROBLEM])
    turns = [
        Turn(one["role"], one["content"], one["role"] == "assistant") for one in chat[:MOST_TURNS]
    ]
    return ShownChat(row, turns, len(chat) - len(turns))
