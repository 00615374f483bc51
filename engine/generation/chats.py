"""Chats out of rows: prompts with completions, or JSON lists of messages. Free of torch."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.errors import BadTrainingData
from engine.examples import as_strings, joined_texts, read_columns
from engine.spec import GenerationSpec

Message = dict[str, str]  # role and content
Chat = list[Message]
ROLES = ("system", "user", "assistant")
# How other formats call them: OpenAI's newer name of system, and ShareGPT's.
OTHER_NAMES = {"developer": "system", "human": "user", "gpt": "assistant"}
FEWEST_CHATS = 10
MOST_SHOWN_CHARACTERS = 60


class BadChat(ValueError):
    """What is wrong with one chat, as words that go on from "the chat"."""


@dataclass(frozen=True)
class Chats:
    """Usable chats; each ends with an answer. `rows` are their numbers in the file, from 0."""

    rows: list[int]
    chats: list[Chat]
    split_values: list[str | None] | None
    warnings: list[str]


def read_chats(spec: GenerationSpec) -> Chats:
    """Every row that can be learnt from; the others are counted in warnings, by problem.

    Raises BadTrainingData when most rows are unusable or too few are left.
    """
    found = _Found(spec)
    for row, value in enumerate(found.values):
        found.read(row, value)
    found.refuse_useless()
    split = found.split_values
    return Chats(
        rows=found.rows,
        chats=found.chats,
        split_values=[split[row] for row in found.rows] if split else None,
        warnings=found.warnings(),
    )


class _Found:
    """The chats of a file as they are read, and what was wrong with the rest."""

    def __init__(self, spec: GenerationSpec) -> None:
        self.spec = spec
        columns = [spec.messages_column] if spec.messages_column else [*spec.prompt_columns]
        columns += [name for name in (spec.completion_column, spec.split.column) if name]
        table = read_columns(spec.data, [name for name in columns if name])
        self.values = _values(table, spec)
        split = spec.split.column
        self.split_values = as_strings(table, split) if split else None
        self.rows: list[int] = []
        self.chats: list[Chat] = []
        self.unanswered = 0
        self._problems: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def read(self, row: int, value: Any) -> None:
        try:
            chat = parse_chat(value)
            taught = up_to_last_answer(chat)
        except BadChat as problem:
            self._problems[str(problem)] += 1
            self._first.setdefault(str(problem), row)
            return
        self.unanswered += len(taught) < len(chat)
        self.rows.append(row)
        self.chats.append(taught)

    def refuse_useless(self) -> None:
        bad = sum(self._problems.values())
        if bad and bad >= len(self.values) / 2:
            problem, row = min(self._first.items(), key=lambda item: item[1])
            raise BadTrainingData(
                "bad_chats",
                f"Row {row + 1}: the chat {problem}. {bad:,} of {len(self.values):,} rows cannot be"
                " learnt from. Correct them, or choose other columns.",
            )
        if len(self.chats) < FEWEST_CHATS:
            raise BadTrainingData(
                "too_few_rows",
                f"Only {len(self.chats)} rows hold an answer to learn from; at least"
                f" {FEWEST_CHATS} are needed.",
            )

    def warnings(self) -> list[str]:
        said = [
            f"{count:,} rows skipped, first row {self._first[problem] + 1}: the chat {problem}."
            for problem, count in self._problems.most_common()
        ]
        if self.unanswered:
            said.append(
                f"{self.unanswered:,} chats go on after their last answer: that end is left out."
            )
        return said


def _values(table: pa.Table, spec: GenerationSpec) -> list[Any]:
    if spec.messages_column:
        return list(table.column(spec.messages_column).to_pylist())
    prompts = joined_texts(table, spec.prompt_columns)
    completions = as_strings(table, spec.completion_column or "")
    return [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion or ""}]
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def parse_chat(value: Any) -> Chat:
    """Messages out of JSON text, a list, or an object that holds one. Raises BadChat."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadChat("is not valid JSON") from None
    if isinstance(value, dict):
        value = value.get("messages") or value.get("conversations")
    if not isinstance(value, list) or not value:
        raise BadChat("holds no list of messages")
    chat = [_message(number, one) for number, one in enumerate(value, 1)]
    late = next((n for n, one in enumerate(chat) if n and one["role"] == "system"), 0)
    if late:
        raise BadChat(f"has a system message in place {late + 1}; it can only come first")
    return chat


def _message(number: int, value: Any) -> Message:
    if not isinstance(value, dict):
        raise BadChat(f"has something else than an object as message {number}")
    role = value.get("role") or value.get("from")
    role = OTHER_NAMES.get(str(role), role)
    if role not in ROLES:
        said = str(role)[:MOST_SHOWN_CHARACTERS]
        raise BadChat(f"names the role {said!r} in message {number}; it must be {_roles()}")
    if value.get("tool_calls") or value.get("function_call"):
        raise BadChat(f"calls a tool in message {number}, which cannot be learnt here")
    content = _content(value.get("content") or value.get("value"))
    if not content:
        whose = "answer" if role == "assistant" else f"{role} message"
        raise BadChat(f"has an empty {whose} (message {number})")
    return {"role": str(role), "content": content}


def _roles() -> str:
    return f"{', '.join(ROLES[:-1])} or {ROLES[-1]}"


def _content(value: Any) -> str:
    """A text, or the text parts of OpenAI's list of parts."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        value = "\n".join(part for part in parts if isinstance(part, str))
    return value.strip() if isinstance(value, str) else ""


def up_to_last_answer(chat: Chat) -> Chat:
    """The chat without what follows its last answer. Raises BadChat when none can be learnt."""
    answered = [place for place, one in enumerate(chat) if one["role"] == "assistant"]
    if not answered:
        raise BadChat("has no answer (no message of the role assistant)")
    if answered[0] == 0:
        raise BadChat("begins with an answer; something must come before it")
    return chat[: answered[-1] + 1]


def prompt_of(chat: Chat) -> Chat:
    """What was asked before the last answer."""
    return chat[:-1]


def shown(chat: Chat) -> str:
    """For people, and for telling equal questions: a lone question as it is, else with roles."""
    if len(chat) == 1 and chat[0]["role"] == "user":
        return chat[0]["content"]
    return "\n".join(f"{one['role']}: {one['content']}" for one in chat)
