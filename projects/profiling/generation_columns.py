"""Suggests text generation for tables with chats in one column, or questions and answers in two."""

import re

import duckdb

from engine.tasks.generation.messages import has_marked_turns
from projects.profiling import column_names
from projects.profiling.profile import ColumnProfile, Suggestion, build_suggestion
from projects.reading.columns.sql import quote_identifier

# Pairs whose second column is the answer to the first.
PROMPT_PAIRS = [
    ("prompt", "completion"), ("prompt", "response"), ("instruction", "output"),
    ("instruction", "response"), ("question", "answer"), ("问题", "答案"), ("问题", "回答"),
    ("指令", "输出"), ("提问", "回答"), ("input", "output"), ("输入", "输出"),
    ("source", "target"), ("query", "answer"), ("query", "response"), ("prompt", "chosen"),
    ("question", "chosen"), ("instruction", "chosen"), ("input.messages", "preferred_output"),
    ("article", "highlights"), ("article", "summary"), ("document", "summary"),
    ("dialogue", "summary"), ("原文", "摘要"), ("正文", "摘要"), ("原文", "译文"),
    ("input", "ideal"), ("input_text", "target_text"), ("source_text", "target_text"),
    ("user", "assistant"),
    ("human", "assistant"), ("context", "response"), ("question", "response"),
    ("question", "answer_text"), ("frage", "antwort"), ("pregunta", "respuesta"),
    ("question", "réponse"), ("question", "reponse"), ("pergunta", "resposta"),
    ("domanda", "risposta"), ("vraag", "antwoord"), ("вопрос", "ответ"), ("質問", "回答"),
    ("질문", "답변"),
]  # fmt: skip
# Who asks and who answers, in names such as `user_message` and `assistant_reply`.
SPEAKERS = [
    ("user", "assistant"), ("human", "assistant"), ("user", "bot"), ("user", "agent"),
    ("customer", "agent"), ("customer", "support"), ("client", "agent"), ("visitor", "agent"),
]  # fmt: skip
SPEECH_WORDS = frozenset({
    "message", "msg", "text", "reply", "turn", "utterance", "content", "response", "question",
    "answer", "query", "request", "prompt",
})  # fmt: skip
MIN_SPOKEN_WORDS = 3.0
CERTAIN_PAIRS = frozenset(PROMPT_PAIRS[:4])  # Tables with another use rarely have both names.
# The column of the worse of two answers, by the name of that of the better one.
REJECTED_NAMES = {"chosen": "rejected", "preferred_output": "non_preferred_output"}
CHAT_COLUMNS = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog")
# Columns that are read with a prompt, by the prompt's name.
PROMPT_PARTS = {
    "instruction": ("input", "context"), "prompt": ("query", "input", "context"),
    "question": ("context",), "指令": ("输入",), "问题": ("背景", "上下文"),
}  # fmt: skip
CONTEXT_NAMES = {
    "system_column": ("system", "system_prompt", "systemprompt", "system_message", "系统提示",
                      "系统提示词", "系统"),
    "history_column": ("history", "历史", "对话历史", "历史对话"),
}  # fmt: skip
NO_CHATS = frozenset({"history", "rejected", "non_preferred_output", "input", "历史"})
CHAT = "chat"
_MAY_BEGIN_CHAT = re.compile(
    r"\s*(?:[<#\[]|Below is|A chat|You are|[\w |]{2,12}:|.{0,180}(?:USER|Human):)", re.I | re.S
)
_LIST_OF_TURNS = re.compile(r'\[\{"(?:role|from)": ?"')


def mark_chats(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[ColumnProfile]
) -> None:
    """Say of columns whose texts are chats with marked turns that they look like it. The examples
    of a profile are cut short, often before the first answer, so whole texts are read."""
    for column in columns:
        examples = column["examples"] if column["type"] == "text" else []
        if not examples or not all(map(_MAY_BEGIN_CHAT.match, examples)):
            continue
        name = quote_identifier(column["name"])
        rows = connection.execute(
            f"SELECT {name} FROM {table} WHERE {name} IS NOT NULL LIMIT {len(examples)}"
        ).fetchall()
        if all(has_marked_turns(text) for (text,) in rows):
            column["looks_like"] = CHAT


def holds_chats(column: ColumnProfile) -> bool:
    """Whether cells are chats: lists of messages, or texts with marked turns."""
    name = column["name"].lower()
    if column["type"] == "json":
        is_pair_of_better = name in REJECTED_NAMES and all(
            "role" in example or "from" in example for example in column["examples"]
        )
        is_list_of_turns = (
            name not in (*REJECTED_NAMES, *NO_CHATS)
            and bool(column["examples"])
            and all(map(_LIST_OF_TURNS.match, column["examples"]))
        )
        return name in CHAT_COLUMNS or is_pair_of_better or is_list_of_turns
    if column["type"] != "text" or not column["examples"]:
        return False
    is_named = name in CHAT_COLUMNS and all(
        example.startswith(("[{", '{"')) for example in column["examples"]
    )
    return is_named or (name not in REJECTED_NAMES.values() and column.get("looks_like") == CHAT)


def suggest_chats(chats: str, columns: list[ColumnProfile]) -> Suggestion:
    why = "The column holds chat messages, so a model can learn to give the answers."
    suggestion = build_suggestion("text-generation", [chats], None, why)
    _add_preference(suggestion, chats, columns)
    _add_context_columns(suggestion, columns, takes_history=False)
    return suggestion


def suggest_prompt_pair(columns: list[ColumnProfile]) -> Suggestion | None:
    names = {column["name"].lower(): column["name"] for column in columns}
    pairs = [*PROMPT_PAIRS, *_find_spoken_pairs(columns)]
    for prompt, completion in pairs:
        if prompt in names and completion in names:
            prompts = [names[prompt]]
            prompts += [
                names[part]
                for part in PROMPT_PARTS.get(prompt, ())
                if part in names and part != completion
            ]
            why = f"{names[completion]} reads as the answer to {' and '.join(prompts)}."
            suggestion = build_suggestion("text-generation", prompts, names[completion], why)
            _add_preference(suggestion, names[completion], columns)
            _add_context_columns(suggestion, columns, takes_history=True)
            return suggestion
    return None


def _find_spoken_pairs(columns: list[ColumnProfile]) -> list[tuple[str, str]]:
    """The lower-case names of columns that hold what two speakers say to each other."""
    spoken: dict[str, str] = {}
    for column in columns:
        words = column_names.split_name(column["name"])
        says = len(words) == 2 and words[1] in SPEECH_WORDS
        if says and (column.get("mean_words") or 0) >= MIN_SPOKEN_WORDS:
            spoken.setdefault(words[0], column["name"].lower())
    return [
        (spoken[asking], spoken[answering])
        for asking, answering in SPEAKERS
        if asking in spoken and answering in spoken
    ]


def is_spoken_pair(pair: Suggestion) -> bool:
    """Whether the columns were found by who speaks, which is weaker evidence than their names."""
    names = (pair["text_columns"][0].lower(), (pair["target_column"] or "").lower())
    return names not in PROMPT_PAIRS


def suggest_pair_of_texts(texts: list[str]) -> Suggestion | None:
    """The suggestion to generate the second of two columns of free text from the first, such as a
    translation; None for other tables, and for a heading and its text."""
    if len(texts) != 2 or column_names.is_heading_name(texts[0]):
        return None
    why = (
        f"No column repeats few enough values to be a label; {texts[0]} and {texts[1]} are running"
        f" text, so a model could learn to write {texts[1]} when it is given {texts[0]}."
    )
    return build_suggestion("text-generation", texts[:1], texts[1], why)


def is_certain_pair(pair: Suggestion, columns: list[ColumnProfile]) -> bool:
    """Whether the table can only hold prompts and answers: by both names, by a rejected answer
    beside the chosen one, by a passage beside a question, or by answers that are JSON."""
    names = {column["name"].lower() for column in columns}
    types = {column["name"]: column["type"] for column in columns}
    answer = pair["target_column"] or ""
    is_named = (pair["text_columns"][0].lower(), answer.lower()) in CERTAIN_PAIRS
    is_preference = REJECTED_NAMES.get(answer.lower(), "") in names
    # A passage, a question and its answer, as in SQuAD.
    is_about_passage = {"question", "context"} <= {name.lower() for name in pair["text_columns"]}
    return is_named or is_preference or is_about_passage or types[answer] == "json"


def _add_preference(suggestion: Suggestion, answer: str, columns: list[ColumnProfile]) -> None:
    """Add the column of the worse answers, of preference data."""
    names = {column["name"].lower(): column["name"] for column in columns}
    rejected = names.get(REJECTED_NAMES.get(answer.lower(), ""))
    if rejected is not None:
        suggestion["rejected_column"] = rejected
        suggestion["why"] += (
            f" These rows are preferences: the model learns to prefer {answer} to {rejected} (DPO)."
        )


def _add_context_columns(
    suggestion: Suggestion, columns: list[ColumnProfile], *, takes_history: bool
) -> None:
    for column in columns:
        name = column["name"].lower()
        if name in CONTEXT_NAMES["system_column"] and column["type"] == "text":
            suggestion["system_column"] = column["name"]
        is_history = takes_history and name in CONTEXT_NAMES["history_column"]
        if is_history and column["type"] in ("json", "text"):
            suggestion["history_column"] = column["name"]
