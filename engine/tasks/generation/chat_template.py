"""Renders chats as tokens, and marks those that a model learns: its answers, with their end.

The template is the base model's own, or DEFAULT_CHAT_TEMPLATE. Training and serving both render
with this module.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from engine.tasks.generation.messages import Chat, InvalidChat, is_learnt

END_TOKEN, PADDING_TOKEN = "<|end|>", "<|pad|>"
ROLE_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>")
DEFAULT_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
# What some templates read: no reasoning before the answer, and a fixed date, since today's would
# make the served prompt differ from the trained one.
TEMPLATE_VARIABLES: dict[str, str | bool] = {"enable_thinking": False, "date_string": "26 Jul 2024"}
RENDERED_FIELDS = ("role", "content", "tool_calls", "tool_call_id")
Ids = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Span = tuple[int, int]


@dataclass(frozen=True)
class TokenizedExample:
    """The tokens of one chat, or of its beginning, and which of them are learnt."""

    chat_index: int  # Position among the usable chats.
    ids: Ids
    target_mask: Flags


def render(
    tokenizer: Any, chat: Chat, *, is_prompt: bool, tools: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The chat by the tokenizer's template; a prompt ends where the answer begins. `tools` are the
    functions that the template offers to the model.

    Raises InvalidChat when the template refuses it: some know no system role, say.
    """
    try:
        text: str = tokenizer.apply_chat_template(
            _escape_special_tokens(tokenizer, chat),
            tokenize=False,
            add_generation_prompt=is_prompt,
            tools=list(tools) or None,
            **TEMPLATE_VARIABLES,
        )
    except (jinja2.TemplateError, TypeError, KeyError, IndexError) as error:
        raise InvalidChat(f"is refused by the base model's chat template: {error}"[:300]) from None
    return text


def _escape_special_tokens(tokenizer: Any, chat: Chat) -> Chat:
    """Breaks up the template's marks inside messages, so that no text can end its own turn."""
    marks = sorted({*tokenizer.all_special_tokens, *ROLE_TOKENS}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, marks)))

    def break_up(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", value)
        if isinstance(value, dict):
            return {name: break_up(inner) for name, inner in value.items()}
        return [break_up(inner) for inner in value] if isinstance(value, list) else value

    return [
        {name: break_up(message[name]) for name in RENDERED_FIELDS if name in message}  # type: ignore[misc,literal-required]
        for message in chat
    ]


def encode_prompt(
    tokenizer: Any, chat: Chat, tools: Sequence[Mapping[str, Any]] = (), opening: str = ""
) -> list[int]:
    """What the model is asked, up to where it answers, or goes on after the `opening`."""
    text = render(tokenizer, chat, is_prompt=True, tools=tools) + opening
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def tokenize_chat(tokenizer: Any, chat: Chat, number: int) -> list[TokenizedExample]:
    """One sequence in which every answer is learnt; or one for each answer where the template
    writes earlier turns otherwise than the last (leaving out thoughts, say)."""
    return [
        _tokenize(tokenizer, text, spans, number)
        for text, spans in render_with_spans(tokenizer, chat)
    ]


def render_with_spans(tokenizer: Any, chat: Chat) -> list[tuple[str, list[Span]]]:
    """Rendered texts, and from where to where each one's answers stand."""
    whole = render(tokenizer, chat, is_prompt=False)
    alone = [
        _render_answer(tokenizer, chat[: place + 1])
        for place, one in enumerate(chat)
        if is_learnt(one)
    ]
    if all(whole.startswith(text) for text, _ in alone):
        return [(whole, [span for _, span in alone])]
    return [(text, [span]) for text, span in alone]


def _render_answer(tokenizer: Any, chat: Chat) -> tuple[str, Span]:
    """A text that ends with the last answer and its end mark, and where that stands."""
    before = render(tokenizer, chat[:-1], is_prompt=True)
    text = render(tokenizer, chat, is_prompt=False)
    if not text.startswith(before):
        text = before + chat[-1]["content"] + tokenizer.eos_token
    return text, (len(before), len(text.rstrip()))


def _tokenize(tokenizer: Any, text: str, spans: list[Span], number: int) -> TokenizedExample:
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    starts = np.array([start for start, _ in encoding["offset_mapping"]], dtype=np.int64)
    learnt = np.zeros(len(starts), dtype=bool)
    for first, end in spans:
        learnt |= (starts >= first) & (starts < end)
    return TokenizedExample(number, np.array(encoding["input_ids"], dtype=np.int32), learnt)


def truncate(example: TokenizedExample, longest: int) -> tuple[TokenizedExample, str]:
    """At most `longest` tokens with the first answer's start among them; which side was cut.

    What is cut is the end; where the prompt would take more than three quarters, its beginning.
    """
    if len(example.ids) <= longest:
        return example, ""
    first = int(np.argmax(example.target_mask))
    answer = int(np.argmin(example.target_mask[first:])) or len(example.ids) - first
    start = max(0, first + min(answer, longest // 4) - longest)
    kept = slice(start, start + longest)
    side = "start" if start else "end"
    return TokenizedExample(example.chat_index, example.ids[kept], example.target_mask[kept]), side


def stop_token_ids(tokenizer: Any, configured: int | list[int] | None) -> list[int]:
    """The tokens after which an answer is over: what the base model names, and what the template
    writes at the end of an answer."""
    known = {tokenizer.eos_token_id}
    known |= set([configured] if isinstance(configured, int) else configured or [])
    example: Chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (last,) = tokenize_chat(tokenizer, example, 0)
    end = int(last.ids[last.target_mask][-1])
    if end in tokenizer.added_tokens_decoder:
        known.add(end)
    return sorted(known)
