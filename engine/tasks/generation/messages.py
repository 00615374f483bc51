"""One chat out of the notations that people keep chats in. Needs no torch.

OpenAI's messages (role, content, parts, weight), ShareGPT's conversations (from, value) with the
names that tools give the roles, pairs of question and answer, and plain text with marked turns.
"""

import ast
import json
from typing import Any, NotRequired, TypedDict

from engine.tasks.generation.notations.marked_text import parse_marked_text


class Message(TypedDict):
    """A turn. `weight` 0 marks an answer that is part of the chat but not learnt. Served models may
    be told of their calls of functions, `arguments` being objects, and of what came back."""

    role: str
    content: str
    weight: NotRequired[int]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]


Chat = list[Message]
ROLES = ("system", "user", "assistant")
ROLE_ALIASES = {
    "developer": "system", "human": "user", "prompter": "user", "gpt": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "ai": "assistant", "model": "assistant",
    "chatbot": "assistant", "用户": "user", "助手": "assistant", "系统": "system",
    **{role: role for role in ROLES},
}  # fmt: skip
TOOL_ROLES = frozenset(
    {"tool", "function", "function_call", "tool_call", "observation", "tool_response", "ipython"}
)
CHAT_KEYS = ("messages", "conversations", "conversation")
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
# Of messages: what is read, and what says nothing that could be learnt.
CONTENT_FIELDS = ("content", "value", "parts", "text")
WEIGHT_FIELDS = ("weight", "train", "loss")  # Axolotl and others write false for weight 0.
READ_FIELDS = frozenset({
    "role", "from", "name", "id", "timestamp", "cache_control", "tool_calls", "function_call",
    *CONTENT_FIELDS, *WEIGHT_FIELDS,
})  # fmt: skip
MAX_DISPLAY_CHARACTERS = 60


class InvalidChat(ValueError):
    """What is wrong with one chat, as words that go on from "the chat"."""


class InvalidWeight(InvalidChat):
    """A weight that means nothing: learning or not learning the answer would be a guess."""


class UnlearnableChat(InvalidChat):
    """A chat beyond doubt, which must not be taken for a text that looks like one."""


def parse_chat(value: Any) -> Chat:
    """Messages out of JSON text, a list, or an object that holds one. Raises InvalidChat."""
    if isinstance(value, str):
        value = _parse_text(value)
    if isinstance(value, dict):
        if value.get("tools") or value.get("functions"):
            raise UnlearnableChat("comes with tools, which cannot be learnt here")
        value = next((value[key] for key in CHAT_KEYS if value.get(key)), None)
    if not isinstance(value, list) or not value:
        raise InvalidChat("holds no list of messages")
    if all(_is_pair(one) for one in value):
        chat = parse_pairs(value)
    else:
        chat = [one for number, turn in enumerate(value, 1) for one in _parse_turn(number, turn)]
    late = next((n for n, one in enumerate(chat) if n and one["role"] == "system"), 0)
    if late:
        raise InvalidChat(f"has a system message in place {late + 1}; it can only come first")
    return chat


def parse_pairs(pairs: list[Any]) -> Chat:
    """Questions and answers, [["question", "answer"], …], as turns. Raises InvalidChat."""
    chat: Chat = []
    for pair in pairs:
        if not _is_pair(pair):
            raise InvalidChat("has something else than a question and an answer in a pair")
        for role, text in zip(("user", "assistant"), pair, strict=True):
            if not text.strip():
                raise InvalidChat(f"has an empty {role} message (message {len(chat) + 1})")
            chat.append({"role": role, "content": text.strip()})
    return chat


def has_marked_turns(text: str) -> bool:
    """Whether a text is a chat with turns such as "### Human:" and "Assistant:", or one in the
    template of a model."""
    return bool(parse_marked_text(text))


def parse_transcript(prompt: str) -> Chat:
    """The turns of a prompt that is written as a chat which waits for its answer, such as "Human:
    Hi\\n\\nAssistant:"; [] for other prompts."""
    turns = parse_marked_text(prompt)
    if turns and turns[-1]["role"] == "assistant" and not turns[-1]["content"]:
        turns = turns[:-1]
    if not turns or turns[-1]["role"] != "user":
        return []
    try:
        return parse_chat(turns)
    except InvalidChat:
        return []


def _parse_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if (written := _parse_python(text)) is not None:
            return written
        if not (turns := parse_marked_text(text)):
            raise InvalidChat("is not valid JSON") from None
    return turns


def _parse_python(text: str) -> Any:
    """A list of dictionaries as Python prints it, and pandas writes it to a CSV; else None."""
    if not text.lstrip().startswith(("[{", "{")):
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)
    )


def _parse_turn(number: int, value: Any) -> Chat:
    """One message; or two of an object such as {"human": "…", "assistant": "…"}."""
    if not isinstance(value, dict):
        raise InvalidChat(f"has something else than an object as message {number}")
    if value and all(str(key).casefold() in ROLE_ALIASES for key in value):
        return [
            _parse_message(number, {"role": role, "content": text}) for role, text in value.items()
        ]
    return [_parse_message(number, value)]


def _parse_message(number: int, value: dict[str, Any]) -> Message:
    name = value.get("role") or value.get("from")
    role = ROLE_ALIASES.get(str(name).strip().casefold(), "")
    if not role:
        _refuse_role(number, str(name))
    if value.get("tool_calls") or value.get("function_call"):
        raise InvalidChat(f"calls a tool in message {number}, which cannot be learnt here")
    content = _parse_content(number, next(filter(None, map(value.get, CONTENT_FIELDS)), None))
    if not content:
        whose = "answer" if role == "assistant" else f"{role} message"
        raise InvalidChat(f"has an empty {whose} (message {number})")
    message: Message = {"role": role, "content": content}
    weight = _parse_weight(number, value)
    if weight is not None and role == "assistant":
        message["weight"] = weight
    return message


def find_unread_fields(value: Any) -> set[str]:
    """Names of fields in a chat's messages that hold something and are not learnt."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return set()
    if isinstance(value, dict):
        value = next((value[key] for key in CHAT_KEYS if value.get(key)), None)
    turns = [turn for turn in value if isinstance(turn, dict)] if isinstance(value, list) else []
    return {
        str(name)
        for turn in turns
        if "role" in turn or "from" in turn
        for name, content in turn.items()
        if name not in READ_FIELDS and content not in (None, "", [], {}, False)
    }


def _refuse_role(number: int, name: str) -> None:
    shown, choices = name[:MAX_DISPLAY_CHARACTERS], "system, user or assistant"
    if name.strip().casefold() in TOOL_ROLES:
        raise InvalidChat(
            f"has a message of the role {shown!r} (message {number}); tools cannot be learnt here"
        )
    raise InvalidChat(f"names the role {shown!r} in message {number}; it must be {choices}")


def _parse_content(number: int, value: Any) -> str:
    """A text, or the text parts of OpenAI's list of parts. Raises InvalidChat for other parts."""
    if not isinstance(value, list):
        return value.strip() if isinstance(value, str) else ""
    texts = []
    for part in value:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        if kind not in TEXT_PARTS:
            raise InvalidChat(
                f"has a part of the type {str(kind)[:MAX_DISPLAY_CHARACTERS]!r} in message"
                f" {number}; only text can be learnt here"
            )
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            shown = ", ".join(part) if isinstance(part, dict) else str(part)
            raise InvalidChat(
                f"has a part without text in message {number}: {shown[:MAX_DISPLAY_CHARACTERS]}"
            )
        texts.append(text)
    return "\n".join(texts).strip()


def _parse_weight(number: int, message: dict[str, Any]) -> int | None:
    """OpenAI's weight: 1 teaches an answer, 0 does not; or a field that says so with true or
    false."""
    for name in WEIGHT_FIELDS[1:]:
        if isinstance(message.get(name), bool):
            return int(message[name])
    value = message.get("weight")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in (0, 1):
        raise InvalidWeight(
            f"gives message {number} the weight {json.dumps(value, default=str)[:20]}; a weight"
            " must be the number 0 (do not learn this answer) or 1 (learn it)"
        )
    return int(value)


def is_learnt(message: Message) -> bool:
    """Whether it is an answer that training learns to give."""
    return message["role"] == "assistant" and message.get("weight", 1) != 0


def trim_after_last_answer(chat: Chat) -> Chat:
    """The chat without what follows its last learnt answer. Raises InvalidChat when there is none
    to learn."""
    answered = [place for place, one in enumerate(chat) if one["role"] == "assistant"]
    if not answered:
        raise InvalidChat("has no answer (no message of the role assistant)")
    if answered[0] == 0:
        raise InvalidChat("begins with an answer; something must come before it")
    learnt = [place for place in answered if is_learnt(chat[place])]
    if not learnt:
        raise InvalidChat("gives every answer the weight 0, so nothing in it is to be learnt")
    return chat[: learnt[-1] + 1]


def prompt_messages(chat: Chat) -> Chat:
    """What was asked before the last answer."""
    return chat[:-1]


def with_last_answer_only(chat: Chat) -> Chat:
    """The chat in which nothing but its last answer is learnt."""
    last = len(chat) - 1
    merged: Chat = []
    for place, one in enumerate(chat):
        message: Message = {"role": one["role"], "content": one["content"]}
        if one["role"] == "assistant":
            message["weight"] = int(place == last)
        merged.append(message)
    return merged


def with_other_answer(chat: Chat, answer: Chat) -> Chat:
    """The chat with another last answer: one message, or a whole chat that asks the same.

    Raises InvalidChat for anything else.
    """
    plain = [{"role": one["role"], "content": one["content"]} for one in chat[:-1]]
    before = [{"role": one["role"], "content": one["content"]} for one in answer[:-1]]
    if answer[-1]["role"] != "assistant":
        raise InvalidChat("has a rejected answer that is no message of the role assistant")
    if before and before != plain:
        raise InvalidChat("has a rejected answer to another question than the preferred one's")
    if answer[-1]["content"] == chat[-1]["content"]:
        raise InvalidChat("has the same answer as preferred and as rejected")
    return [*chat[:-1], answer[-1]]


def format_chat(chat: Chat) -> str:
    """For people, and for telling equal questions: a lone question as it is, else with roles."""
    if len(chat) == 1 and chat[0]["role"] == "user":
        return chat[0]["content"]
    return "\n".join(f"{one['role']}: {one['content']}" for one in chat)
