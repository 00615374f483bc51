"""Converts objects that certain programs export into rows: chats of UltraChat, ChatGPT, Claude and
Telegram, answers of Prodigy, and questions of SQuAD."""

from collections.abc import Callable
from dataclasses import dataclass

from projects.reading.json.annotations import (
    Disagreement,
    Row,
    is_argilla,
    is_labelbox,
    row_of_argilla,
    row_of_labelbox,
)

TURNS, MIN_WORDS = "data", 3
BESIDE_TURNS = {"id", "prompt_id", "prompt", "conversation_id", "source"}
ROLES = {"human": "user", "user": "user", "assistant": "assistant", "system": "system"}
MAX_MESSAGES = 10_000
QUESTIONS = "qas"  # Of a passage, in SQuAD.
FIRST_ANSWER_NOTE = (
    "The first text of 'answers' was read as the answer, as in SQuAD; where there is none, the cell"
    " is empty."
)
PRODIGY_MARKS = ("_input_hash", "_task_hash")
PRODIGY_ANSWERS = ("accept", "reject", "ignore")


class UnreadableRow(str):
    """Stands in place of a row that cannot be read; the text is the reason."""

    __slots__ = ()


@dataclass(frozen=True)
class Export:
    """How to recognise rows that one program exports, and how to convert them; `note` tells the
    customer what was done."""

    matches: Callable[[Row], bool]
    convert: Callable[[Row], Row | UnreadableRow]
    note: str
    differs: str = ""  # A field that has to have different values in the rows.


def _are_turns(row: Row) -> bool:
    """{"prompt_id": "1", "data": ["q", "a"]}. Beside a mere id the texts have to be prose."""
    turns = row.get(TURNS)
    if not isinstance(turns, list) or not turns or not set(row) - {TURNS} <= BESIDE_TURNS:
        return False
    texts = [turn for turn in turns if isinstance(turn, str)]
    prose = sum(len(text.split()) >= MIN_WORDS for text in texts)
    return "prompt_id" in row or (prose > 0 and prose >= len(turns) / 2)


def _chat_of_turns(row: Row) -> Row | UnreadableRow:
    turns = row[TURNS]
    assert isinstance(turns, list)
    if not all(isinstance(turn, str) for turn in turns):
        return UnreadableRow(f"{TURNS!r} holds something that is no text, so it is no chat.")
    count = len(turns)
    if count % 2:
        return UnreadableRow(
            f"{TURNS!r} holds {'1 text' if count == 1 else f'{count:,} texts'}. A chat has an even"
            " number of them, a question and an answer by turns."
        )
    messages: list[object] = [
        {"role": ("user", "assistant")[place % 2], "content": turn}
        for place, turn in enumerate(turns)
    ]
    return {name: value for name, value in row.items() if name != TURNS} | {"messages": messages}


def _is_chatgpt(row: Row) -> bool:
    """A conversation of ChatGPT's export: a tree of messages under "mapping"."""
    nodes = row.get("mapping")
    return (
        isinstance(nodes, dict)
        and bool(nodes)
        and all(
            isinstance(node, dict) and {"message", "children"} <= node.keys()
            for node in nodes.values()
        )
    )


def _chat_of_chatgpt(row: Row) -> Row | UnreadableRow:
    """The messages of the branch that was shown last; edited questions' older branches are left
    out."""
    nodes = row["mapping"]
    assert isinstance(nodes, dict)
    name = row.get("current_node")
    if name not in nodes:  # The last leaf, along the newest answers.
        name = next((key for key, node in nodes.items() if not node.get("parent")), None)
        for _ in range(MAX_MESSAGES):
            if not (children := nodes.get(name, {}).get("children")):
                break
            name = children[-1]
    branch: list[Row] = []
    while name in nodes and len(branch) < MAX_MESSAGES:
        branch.append(nodes[name])
        name = nodes[name].get("parent")
    messages = [_chatgpt_message(node.get("message")) for node in reversed(branch)]
    return _with_messages(row, "mapping", messages)


def _chatgpt_message(message: object) -> Row | None:
    if not isinstance(message, dict) or not isinstance(message.get("author"), dict):
        return None
    content = message.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    texts = [part for part in parts or [] if isinstance(part, str) and part.strip()]
    role = ROLES.get(str(message["author"].get("role")))
    return {"role": role, "content": "\n".join(texts)} if role and texts else None


def _is_claude(row: Row) -> bool:
    messages = row.get("chat_messages")
    return isinstance(messages, list) and all(
        isinstance(message, dict) and {"sender", "text"} <= message.keys() for message in messages
    )


def _chat_of_claude(row: Row) -> Row | UnreadableRow:
    messages = row["chat_messages"]
    assert isinstance(messages, list)
    turns: list[Row | None] = [
        {"role": ROLES[message["sender"]], "content": message["text"]}
        if message["sender"] in ROLES
        and isinstance(message["text"], str)
        and message["text"].strip()
        else None
        for message in messages
    ]
    return _with_messages(row, "chat_messages", turns)


def _with_messages(row: Row, field: str, turns: list[Row | None]) -> Row | UnreadableRow:
    messages: list[object] = [turn for turn in turns if turn is not None]
    if not messages:
        return UnreadableRow("This conversation holds no text of a user or of the assistant.")
    plain = {
        name: value
        for name, value in row.items()
        if name != field and not isinstance(value, dict | list)
    }
    return plain | {"messages": messages}


def _is_prodigy(row: Row) -> bool:
    """A label that a person accepted or rejected for a text."""
    is_marked = any(mark in row for mark in PRODIGY_MARKS)
    return row.get("answer") in PRODIGY_ANSWERS and is_marked and isinstance(row.get("label"), str)


def _is_prodigy_choice(row: Row) -> bool:
    is_answered = row.get("answer") in PRODIGY_ANSWERS
    return is_answered and isinstance(row.get("accept"), list) and "options" in row


def _row_of_prodigy(row: Row) -> Row | UnreadableRow:
    """The row with the chosen options; an UnreadableRow where nobody accepted it."""
    if row["answer"] != "accept":
        return UnreadableRow(f"The answer in Prodigy was {row['answer']!r}, so nothing is known.")
    dropped = ("options", "answer", "config", *PRODIGY_MARKS)
    return {name: value for name, value in row.items() if name not in dropped}


def _row_of_one_label(row: Row) -> Row | UnreadableRow:
    if row["answer"] == "ignore":
        return UnreadableRow("The answer in Prodigy was 'ignore', so nothing is known.")
    return {name: value for name, value in row.items() if name not in PRODIGY_MARKS}


def _is_answered_question(row: Row) -> bool:
    """A row of SQuAD as Hugging Face keeps it."""
    answers = row.get("answers")
    return (
        isinstance(row.get("question"), str)
        and "answer" not in row
        and isinstance(answers, dict)
        and isinstance(answers.get("text"), list)
        and answers.keys() <= {"text", "answer_start", "answer_end"}
    )


def _row_of_question(row: Row) -> Row | UnreadableRow:
    answers = row["answers"]
    assert isinstance(answers, dict)
    texts = [text for text in answers["text"] if isinstance(text, str) and text.strip()]
    plain = {name: value for name, value in row.items() if name != "answers"}
    return plain | {"answer": texts[0] if texts else None}


def is_paragraph(value: object) -> bool:
    """Whether this is a passage with the questions about it."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("context"), str)
        and isinstance(value.get(QUESTIONS), list)
        and all(
            isinstance(question, dict) and "question" in question for question in value[QUESTIONS]
        )
    )


def _rejected_paragraph(row: Row) -> Row | UnreadableRow:
    return UnreadableRow(
        "This line holds several questions about one passage. Save a row for each question, with"
        " the fields question, context and answer, or the whole as one document of SQuAD."
    )


def _is_telegram(row: Row) -> bool:
    """A message of Telegram, whose text is a list of parts where it holds links and the like."""
    return {"text", "text_entities", "date_unixtime"} <= row.keys()


def _row_of_telegram(row: Row) -> Row | UnreadableRow:
    parts = row["text"] if isinstance(row["text"], list) else [row["text"]]
    texts = [str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in parts]
    plain = {
        name: value
        for name, value in row.items()
        if name != "text_entities" and not isinstance(value, dict | list)
    }
    return plain | {"text": "".join(texts)}


def _unless_disagreed(convert: Callable[[Row], Row]) -> Callable[[Row], Row | UnreadableRow]:
    def convert_or_reject(row: Row) -> Row | UnreadableRow:
        try:
            return convert(row)
        except Disagreement as problem:
            return UnreadableRow(str(problem))

    return convert_or_reject


EXPORTS = (
    Export(
        is_argilla,
        _unless_disagreed(row_of_argilla),
        "Records of Argilla were read with people's answers, without suggestions. Where annotators"
        " differ, the answer of most was read; records without one are rejected.",
    ),
    Export(
        is_labelbox,
        _unless_disagreed(row_of_labelbox),
        "Rows of Labelbox were read with their classifications. Where annotators differ, the answer"
        " of most was read; rows without one are rejected.",
    ),
    Export(
        _is_telegram,
        _row_of_telegram,
        "Messages exported from Telegram: links and words in bold were joined to plain text.",
    ),
    Export(
        _is_answered_question,
        _row_of_question,
        FIRST_ANSWER_NOTE,
    ),
    Export(is_paragraph, _rejected_paragraph, "Questions about a passage are no rows yet."),
    Export(
        _are_turns,
        _chat_of_turns,
        f"The texts in {TURNS!r} were read as turns of a chat, user and assistant by turns, as in"
        " UltraChat.",
    ),
    Export(
        _is_chatgpt,
        _chat_of_chatgpt,
        "Conversations exported from ChatGPT were read as chats, each along the branch shown last.",
    ),
    Export(_is_claude, _chat_of_claude, "Conversations exported from Claude were read as chats."),
    Export(
        _is_prodigy_choice,
        _row_of_prodigy,
        "Choices made in Prodigy were read from 'accept'; rows that nobody accepted are rejected.",
    ),
    Export(
        _is_prodigy,
        _row_of_prodigy,
        "Labels that were not accepted in Prodigy say what a text is not: those rows are rejected.",
        differs="label",  # Of one label, accepted and rejected are the two classes.
    ),
    Export(
        _is_prodigy,
        _row_of_one_label,
        "One label was asked about in Prodigy: answers say whether a text has it. Rows that were"
        " ignored are rejected.",
    ),
)
