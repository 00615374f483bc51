"""The first chats of a dataset as a model would learn them: which turns are read, which learnt."""

from dataclasses import dataclass
from typing import Any

from engine.tasks.generation.messages import InvalidChat, parse_chat, trim_after_last_answer
from projects.models import DatasetVersion
from projects.queries import preview

MAX_CHATS_SHOWN = 5
MAX_TURNS = 12
MAX_PROBLEM_LENGTH = 300


@dataclass(frozen=True)
class Turn:
    role: str
    text: str
    is_trained_on: bool


@dataclass(frozen=True)
class ChatPreview:
    """One row of the data; `problem` says why it would be skipped, "" when it is trained on."""

    row: int  # From 0.
    turns: list[Turn]
    hidden_turns: int  # Turns that are not shown.
    problem: str = ""


def preview_chats(version: DatasetVersion, column: str) -> list[ChatPreview]:
    """The chats of the first MAX_CHATS_SHOWN rows; none for a column that the data lacks."""
    cells = preview.load_columns(version, [column], MAX_CHATS_SHOWN)
    return [_preview_chat(row, value) for row, (value,) in enumerate(cells)]


def preview_pairs(
    version: DatasetVersion, prompts: list[str], completion: str
) -> list[ChatPreview]:
    """The first MAX_CHATS_SHOWN rows of prompt columns and a completion column, as chats of two
    turns: the prompts together, and the completion, on which the model is trained."""
    rows = preview.load_training_rows(version, prompts, [completion], MAX_CHATS_SHOWN)
    return [
        ChatPreview(
            number,
            [Turn("user", row["text"], False), Turn("assistant", row["target"], True)],
            0,
        )
        for number, row in enumerate(rows)
    ]


def _preview_chat(row: int, value: Any) -> ChatPreview:
    try:
        chat = trim_after_last_answer(parse_chat(value))
    except InvalidChat as problem:
        return ChatPreview(row, [], 0, f"Skipped: the chat {problem}."[:MAX_PROBLEM_LENGTH])
    turns = [
        Turn(message["role"], message["content"], message["role"] == "assistant")
        for message in chat[:MAX_TURNS]
    ]
    return ChatPreview(row, turns, len(chat) - len(turns))
