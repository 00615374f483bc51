"""Reads chats from rows: prompts with completions, or lists of messages. Needs no torch."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from engine.data.splitting import Split, split_rows
from engine.data.text_examples import (
    join_text_columns,
    read_as_strings,
    read_column_names,
    read_columns,
)
from engine.errors import BadTrainingData
from engine.spec import GenerationSpec
from engine.tasks.generation.messages import (
    Chat,
    InvalidChat,
    InvalidWeight,
    Message,
    UnlearnableChat,
    find_unread_fields,
    format_chat,
    has_marked_turns,
    parse_chat,
    parse_pairs,
    parse_transcript,
    prompt_messages,
    trim_after_last_answer,
    with_last_answer_only,
    with_other_answer,
)

MIN_CHATS = 10
# Columns beside the messages that say what a chat cannot be learnt without.
UNLEARNABLE_COLUMNS = {
    "tools": "tools", "functions": "tools", "images": "pictures", "image": "pictures",
    "videos": "videos", "audios": "sound", "audio": "sound",
}  # fmt: skip
UNUSED_COLUMNS = ("system", "history")  # Of instructions; left out only with a word.
VERDICT_COLUMNS = ("label", "kto_tag", "is_good", "accepted", "desirable")  # Of KTO's examples.
SILENT_COLUMNS = frozenset({
    "id", "ids", "idx", "index", "uuid", "guid", "url", "source", "split", "language", "lang",
    "category", "dataset", "created_at", "timestamp", "parallel_tool_calls",
})  # fmt: skip
MAX_LISTED_COLUMNS = 8
EMPTY_CELLS = (None, "", "[]", "{}", "null")


@dataclass(frozen=True)
class ChatDataset:
    """Usable chats; each ends with an answer. `rows` are their numbers in the file, from 0.

    `rejected` are the same chats with the answer that is to be avoided; empty without preferences.
    """

    rows: list[int]
    chats: list[Chat]
    split_values: list[str | None] | None
    warnings: list[str]
    rejected: list[Chat] = field(default_factory=list)


def read_chats(spec: GenerationSpec) -> ChatDataset:
    """Every row that can be learnt from; the others are counted in warnings, by problem.

    Raises BadTrainingData when most rows are unusable or too few are left.
    """
    reader = _ChatReader(spec)
    for row in range(reader.columns.table.num_rows):
        reader.add_row(row)
    reader.validate()
    split = reader.split_values
    return ChatDataset(
        rows=reader.rows,
        chats=reader.chats,
        split_values=[split[row] for row in reader.rows] if split else None,
        warnings=reader.warnings(),
        rejected=reader.rejected,
    )


def split_chats(chats: ChatDataset, spec: GenerationSpec) -> Split:
    """Chats divided as the spec says; equal questions stay together, since on both sides of a
    split the test would measure memory. Raises BadTrainingData when nothing is left to test."""
    prompts = [format_chat(prompt_messages(chat)) for chat in chats.chats]
    split = split_rows(
        prompts, [0] * len(prompts), spec.effective_split, chats.split_values, are_texts=True
    )
    if not len(split.test):
        raise BadTrainingData(
            "too_few_rows",
            "No rows could be set aside for the test: too few different prompts. Add rows.",
        )
    return split


class _ChatReader:
    """The chats of a file as they are read, and what was wrong with the rest."""

    def __init__(self, spec: GenerationSpec) -> None:
        self.spec = spec
        self.columns = _ChatColumns(spec)
        split = spec.effective_split.column
        self.split_values = read_as_strings(self.columns.table, split) if split else None
        self.rows: list[int] = []
        self.chats: list[Chat] = []
        self.rejected: list[Chat] = []
        self.trimmed_count = 0
        self._problem_counts: Counter[str] = Counter()
        self._first_rows: dict[str, int] = {}

    def add_row(self, row: int) -> None:
        """Raises BadTrainingData for a weight that means nothing."""
        try:
            chat = self.columns.chat(row)
            trimmed = trim_after_last_answer(chat)
            if self.spec.is_preference:
                trimmed = with_last_answer_only(trimmed)
                rejected = with_other_answer(trimmed, self.columns.rejected_answer(row))
        except InvalidWeight as problem:
            raise BadTrainingData("bad_weight", f"Row {row + 1:,}: the chat {problem}.") from None
        except InvalidChat as problem:
            self._problem_counts[str(problem)] += 1
            self._first_rows.setdefault(str(problem), row)
            return
        self.trimmed_count += len(trimmed) < len(chat)
        self.rows.append(row)
        self.chats.append(trimmed)
        if self.spec.is_preference:
            self.rejected.append(with_last_answer_only(rejected))

    def validate(self) -> None:
        bad, rows = sum(self._problem_counts.values()), self.columns.table.num_rows
        if bad and bad >= rows / 2:
            problem, row = min(self._first_rows.items(), key=lambda item: item[1])
            raise BadTrainingData(
                "bad_chats",
                f"Row {row + 1}: the chat {problem}. {bad:,} of {rows:,} rows cannot be"
                " learnt from. Correct them, or choose other columns."
                if rows > 1
                else f"Row {row + 1}: the chat {problem}. It is the only row. Correct it, or choose"
                " other columns.",
            )
        if len(self.chats) < MIN_CHATS:
            raise BadTrainingData(
                "too_few_rows",
                f"Only {'1 row holds' if len(self.chats) == 1 else f'{len(self.chats)} rows hold'}"
                f" an answer to learn from; at least {MIN_CHATS} are needed.",
            )

    def warnings(self) -> list[str]:
        warnings = [
            f"{'1 row skipped' if count == 1 else f'{count:,} rows skipped'}"
            f", first row {self._first_rows[problem] + 1}:"
            f" the chat {problem}."
            for problem, count in self._problem_counts.most_common()
        ]
        if trimmed := self.trimmed_count:
            warnings.append(
                "1 chat goes on after its last answer: that end is left out."
                if trimmed == 1
                else f"{trimmed:,} chats go on after their last answer: that end is left out."
            )
        return [
            *warnings,
            *self.columns.transcript_warnings(),
            *self.columns.unread_field_warnings(),
            *self.columns.unused_column_warnings(),
        ]


class _ChatColumns:
    """The columns of a file that make up its chats."""

    def __init__(self, spec: GenerationSpec) -> None:
        self.spec = spec
        used = [spec.messages_column, *spec.prompt_columns, spec.completion_column]
        used += [spec.system_column, spec.history_column, spec.rejected_column]
        used += [spec.effective_split.column]
        names = [name for name in used if name]
        self.present = read_column_names(spec.data)
        self.blockers = {
            name: UNLEARNABLE_COLUMNS[_last_part(name)]
            for name in self.present
            if (spec.messages_column or spec.is_preference)
            and _last_part(name) in UNLEARNABLE_COLUMNS
        }
        self.table = read_columns(spec.data, [*names, *self.blockers])
        self.values: dict[str, list[Any]] = {
            name: self.table.column(name).to_pylist()
            for name in (spec.messages_column, spec.history_column, *self.blockers)
            if name
        }
        self.systems = self._texts(spec.system_column)
        self.completions = self._texts(spec.completion_column)
        self.rejected_answers = self._texts(spec.rejected_column)
        self.prompts = join_text_columns(self.table, spec.prompt_columns)
        filled = [prompt for prompt in self.prompts if prompt.strip()]
        # All of them, as one prompt among many may well quote a chat.
        self.are_transcripts = bool(filled) and all(map(parse_transcript, filled))

    def _texts(self, name: str | None) -> list[str | None]:
        return read_as_strings(self.table, name) if name else [None] * self.table.num_rows

    def chat(self, row: int) -> Chat:
        """All messages of a row. Raises InvalidChat."""
        for name, what in self.blockers.items():
            if self.values[name][row] not in (*EMPTY_CELLS, []):
                raise InvalidChat(f"comes with {what} in column {name!r}, which cannot be learnt")
        if self.spec.messages_column:
            chat = parse_chat(self.values[self.spec.messages_column][row])
        else:
            prompt = parse_transcript(self.prompts[row]) if self.are_transcripts else []
            prompt = prompt or _as_messages(self.prompts[row], "user")
            answered = _as_messages(self.completions[row] or "", "assistant")
            chat = [*self._history(row), *prompt, *answered]
        system = self.systems[row]
        if system and chat[0]["role"] != "system":
            chat.insert(0, {"role": "system", "content": system})
        return chat

    def rejected_answer(self, row: int) -> Chat:
        """The answer to avoid, or a chat that ends with it. Raises InvalidChat."""
        cell = self.rejected_answers[row] or ""
        if not cell.strip():
            raise InvalidChat("has no rejected answer")
        if self.spec.messages_column and has_marked_turns(cell):
            return parse_chat(cell)
        return _as_messages(cell, "assistant")

    def _history(self, row: int) -> Chat:
        name = self.spec.history_column
        value = self.values[name][row] if name else None
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.strip() else None
            except (ValueError, RecursionError):
                raise InvalidChat("has a history that is not valid JSON") from None
        if not value:
            return []
        return parse_chat(value) if not isinstance(value[0], list) else parse_pairs(value)

    def unused_column_warnings(self) -> list[str]:
        """Columns that change what the rows mean, by their names, and were not chosen; then all
        others that were not."""
        chosen = {*self.table.column_names}
        unused = [name for name in self.present if name not in chosen]
        warnings = [
            f"Column {name} is left out. Choose it as {name.casefold()} if it is part of the chats."
            for name in unused
            if name.casefold() in UNUSED_COLUMNS
        ]
        warnings += [
            f"Column {name} may say which answers are good; all are learnt, whatever it says. Drop"
            " the rows of the bad ones first."
            for name in unused
            if name.casefold() in VERDICT_COLUMNS
        ]
        known = (*UNUSED_COLUMNS, *VERDICT_COLUMNS)
        others = [
            name
            for name in unused
            if name.casefold() not in (*known, *SILENT_COLUMNS)
            and not name.casefold().endswith("_id")
        ]
        if others:
            shown = ", ".join(others[:MAX_LISTED_COLUMNS])
            more = " …" if len(others) > MAX_LISTED_COLUMNS else ""
            warnings.append(f"Not part of what is learnt: the columns {shown}{more}.")
        return warnings

    def transcript_warnings(self) -> list[str]:
        """That the prompts are read as turns, as what is shown of them is one text."""
        if not self.are_transcripts:
            return []
        return [
            "The prompts are written as chats, with names such as Human: and Assistant: before the"
            " turns. They are learnt as turns, without the names."
        ]

    def unread_field_warnings(self) -> list[str]:
        """Fields of messages that say something and are not learnt."""
        fields: Counter[str] = Counter()
        for value in self.values.get(self.spec.messages_column or "", []):
            fields.update(find_unread_fields(value))
        return [
            f"The field {name!r} of messages is not learnt; "
            f"{'1 chat has it' if count == 1 else f'{count:,} chats have it'}."
            for name, count in fields.most_common(MAX_LISTED_COLUMNS)
        ]


def _last_part(name: str) -> str:
    """Of a column that an object in the rows gave its name, such as input.tools."""
    return name.casefold().rpartition(".")[2]


def _as_messages(cell: str, role: str) -> Chat:
    """A text as one message; JSON of messages, or OpenAI's object around them, as those.

    Raises InvalidChat.
    """
    is_list = cell.startswith("[{") and cell.endswith("}]")
    if is_list or (cell.startswith('{"') and '"messages"' in cell and cell.endswith("}")):
        try:
            return parse_chat(cell)
        except (InvalidWeight, UnlearnableChat):
            raise
        except InvalidChat:
            pass  # Text that only looks like it.
    if not cell.strip():
        raise InvalidChat("has an empty " + ("answer" if role == "assistant" else "user message"))
    message: Message = {"role": role, "content": cell.strip()}
    return [message]
