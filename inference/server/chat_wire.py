"""The bodies of /v1/chat/completions and /v1/completions, in OpenAI's shapes."""

import json
from dataclasses import dataclass
from typing import Any

from engine.generation.chats import BadChat, Chat, parse_chat
from engine.generation.options import Sampling
from inference.server.refusals import Refusal, bad_request

MOST_STOPS = 4
MOST_STOP_CHARACTERS = 100
MOST_CHARACTERS = 400_000
COMPLETION_TOKENS = 16  # What OpenAI's older endpoint writes when nothing is said.
# Asked for, they would change the answer; leaving them out silently would be a lie.
UNSUPPORTED = ("tools", "functions", "logprobs", "logit_bias", "suffix", "echo", "best_of")


@dataclass(frozen=True)
class Question:
    """A request that was understood."""

    model: str
    row: Chat | str
    sampling: Sampling
    is_chat: bool
    is_stream: bool
    wants_usage: bool  # In a stream: as a last chunk of its own.

    @property
    def texts(self) -> list[str]:
        """As a log keeps it."""
        return [self.row if isinstance(self.row, str) else self.row[-1]["content"]]


@dataclass(frozen=True)
class Facts:
    """What every object of one answer says."""

    id: str
    created: int


def read_question(body: bytes, *, is_chat: bool) -> Question:
    """Understand a body. Raises Refusal (400) naming the parameter at fault."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "invalid_json", "The body is not valid JSON.") from None
    if not isinstance(asked, dict):
        raise bad_request("The body must be a JSON object.")
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise bad_request("model must be the name of a deployment.", "model")
    _refuse_unsupported(asked)
    options = asked.get("stream_options") or {}
    return Question(
        model=model,
        row=_messages(asked) if is_chat else _prompt(asked),
        sampling=_sampling(asked, is_chat=is_chat),
        is_chat=is_chat,
        is_stream=bool(asked.get("stream")),
        wants_usage=isinstance(options, dict) and bool(options.get("include_usage")),
    )


def _refuse_unsupported(asked: dict[str, Any]) -> None:
    for name in UNSUPPORTED:
        if asked.get(name):
            raise bad_request(f"{name} is not supported here. Leave it out.", name)
    if asked.get("n", 1) not in (1, None):
        raise bad_request("n must be 1: one answer for each request.", "n")
    form = asked.get("response_format")
    if form and (not isinstance(form, dict) or form.get("type") != "text"):
        raise bad_request("response_format must be of the type text.", "response_format")


def _messages(asked: dict[str, Any]) -> Chat:
    messages = asked.get("messages")
    try:
        chat = parse_chat(messages if isinstance(messages, list) else None)
    except BadChat as problem:
        raise bad_request(f"The chat {problem}.", "messages") from None
    for one in chat:
        _check_text(one["content"], "messages")
    return chat


def _prompt(asked: dict[str, Any]) -> str:
    prompt = asked.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str) or not prompt.strip():
        raise bad_request("prompt must be one text.", "prompt")
    _check_text(prompt, "prompt")
    return prompt


def _check_text(text: str, param: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise bad_request(f"{param} is longer than {MOST_CHARACTERS:,} characters.", param)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request(f"{param} is not valid Unicode text.", param) from None


def _sampling(asked: dict[str, Any], *, is_chat: bool) -> Sampling:
    newer = asked.get("max_completion_tokens") if is_chat else None
    name = "max_tokens" if newer is None else "max_completion_tokens"
    most = _whole(asked, name, 1, 2**31)
    if most is None and not is_chat:
        most = COMPLETION_TOKENS
    return Sampling(
        temperature=_number(asked, "temperature", 0.0, 2.0, default=1.0),
        top_p=_number(asked, "top_p", 0.0, 1.0, default=1.0),
        max_tokens=most,
        stop=_stops(asked.get("stop")),
        seed=_whole(asked, "seed", -(2**63), 2**63 - 1),
        presence_penalty=_number(asked, "presence_penalty", -2.0, 2.0, default=0.0),
        frequency_penalty=_number(asked, "frequency_penalty", -2.0, 2.0, default=0.0),
    )


def _number(asked: dict[str, Any], name: str, low: float, high: float, *, default: float) -> float:
    value = asked.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise bad_request(f"{name} must be a number from {low:g} to {high:g}.", name)
    return float(value)


def _whole(asked: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise bad_request(f"{name} must be a whole number from {low:,} to {high:,}.", name)
    return value


def _stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value or []
    is_known = isinstance(stops, list) and all(
        isinstance(one, str) and 0 < len(one) <= MOST_STOP_CHARACTERS for one in stops
    )
    if not is_known or len(stops) > MOST_STOPS:
        raise bad_request(f"stop must be a text, or up to {MOST_STOPS} of them.", "stop")
    return tuple(stops)


def whole_answer(
    question: Question, facts: Facts, text: str, reason: str, tokens: tuple[int, int]
) -> dict[str, Any]:
    """`tokens` are the prompt's and the answer's."""
    said: dict[str, Any] = {"text": text}
    if question.is_chat:
        said = {"message": {"role": "assistant", "content": text, "refusal": None}}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
    kind = "chat.completion" if question.is_chat else "text_completion"
    return {**_head(question, facts, kind), "choices": [choice], "usage": usage(tokens)}


def chunk(
    question: Question, facts: Facts, text: str, reason: str | None, *, is_first: bool
) -> dict[str, Any]:
    """One object of a stream."""
    said: dict[str, Any] = {"text": text}
    if question.is_chat:
        delta: dict[str, Any] = {"role": "assistant"} if is_first else {}
        said = {"delta": delta | ({"content": text} if text or is_first else {})}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
    head = _head(question, facts, _chunk_kind(question))
    return {**head, "choices": [choice]} | ({"usage": None} if question.wants_usage else {})


def usage_chunk(question: Question, facts: Facts, tokens: tuple[int, int]) -> dict[str, Any]:
    head = _head(question, facts, _chunk_kind(question))
    return {**head, "choices": [], "usage": usage(tokens)}


def usage(tokens: tuple[int, int]) -> dict[str, int]:
    asked, answered = tokens
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
    }


def _chunk_kind(question: Question) -> str:
    return "chat.completion.chunk" if question.is_chat else "text_completion"


def _head(question: Question, facts: Facts, kind: str) -> dict[str, Any]:
    return {"id": facts.id, "object": kind, "created": facts.created, "model": question.model}
