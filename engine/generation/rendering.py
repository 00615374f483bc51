"""A chat as the tokens a model reads, and which of them it learns: its answers, with their end.

The template is the base model's own, or PLAIN_TEMPLATE; training and serving render by this code.
"""

import re
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from engine.generation.chats import BadChat, Chat

END, PADDING = "<|end|>", "<|pad|>"
ROLE_MARKS = ("<|system|>", "<|user|>", "<|assistant|>")
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
# What some templates ask for: no thinking aloud before the answer, and no date of today, which
# would make the served prompt differ from the taught one.
TEMPLATE_FACTS: dict[str, Any] = {"enable_thinking": False, "date_string": "26 Jul 2024"}
Ids = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Span = tuple[int, int]


@dataclass(frozen=True)
class Taught:
    """The tokens of one chat, or of its beginning, and which of them are learnt."""

    chat: int  # Position among the usable chats.
    ids: Ids
    learnt: Flags


def render(tokenizer: Any, chat: Chat, *, is_prompt: bool) -> str:
    """The chat by the tokenizer's template; a prompt ends where the answer begins.

    Raises BadChat when the template refuses it: some know no system role, say.
    """
    try:
        text: str = tokenizer.apply_chat_template(
            _without_marks(tokenizer, chat),
            tokenize=False,
            add_generation_prompt=is_prompt,
            **TEMPLATE_FACTS,
        )
    except (jinja2.TemplateError, TypeError, KeyError, IndexError) as error:
        raise BadChat(f"is refused by the base model's chat template: {error}"[:300]) from None
    return text


def _without_marks(tokenizer: Any, chat: Chat) -> Chat:
    """Marks of the template inside a message are broken up: text must not end its own turn."""
    marks = sorted({*tokenizer.all_special_tokens, *ROLE_MARKS}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, marks)))

    def broken(mark: re.Match[str]) -> str:
        return f"{mark[0][0]} {mark[0][1:]}"

    return [{**one, "content": pattern.sub(broken, one["content"])} for one in chat]


def prompt_ids(tokenizer: Any, chat: Chat) -> list[int]:
    """What the model is asked, up to where it answers."""
    text = render(tokenizer, chat, is_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def teach(tokenizer: Any, chat: Chat, number: int) -> list[Taught]:
    """One sequence in which every answer is learnt; or one for each answer where the template
    writes earlier turns otherwise than the last (leaving out thoughts, say)."""
    return [_encoded(tokenizer, text, spans, number) for text, spans in texts_of(tokenizer, chat)]


def texts_of(tokenizer: Any, chat: Chat) -> list[tuple[str, list[Span]]]:
    """Rendered texts, and from where to where each one's answers stand."""
    whole = render(tokenizer, chat, is_prompt=False)
    alone = [
        _with_answer(tokenizer, chat[: place + 1])
        for place, one in enumerate(chat)
        if one["role"] == "assistant"
    ]
    if all(whole.startswith(text) for text, _ in alone):
        return [(whole, [span for _, span in alone])]
    return [(text, [span]) for text, span in alone]


def _with_answer(tokenizer: Any, chat: Chat) -> tuple[str, Span]:
    """A text that ends with the last answer and its end mark, and where that stands."""
    before = render(tokenizer, chat[:-1], is_prompt=True)
    text = render(tokenizer, chat, is_prompt=False)
    if not text.startswith(before):
        text = before + chat[-1]["content"] + tokenizer.eos_token
    return text, (len(before), len(text.rstrip()))


def _encoded(tokenizer: Any, text: str, spans: list[Span], number: int) -> Taught:
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    starts = np.array([start for start, _ in encoding["offset_mapping"]], dtype=np.int64)
    learnt = np.zeros(len(starts), dtype=bool)
    for first, end in spans:
        learnt |= (starts >= first) & (starts < end)
    return Taught(number, np.array(encoding["input_ids"], dtype=np.int32), learnt)


def cut(taught: Taught, longest: int) -> tuple[Taught, str]:
    """At most `longest` tokens with the first answer's start among them; which side was cut.

    What is cut is the end; where the prompt would take more than three quarters, its beginning.
    """
    if len(taught.ids) <= longest:
        return taught, ""
    first = int(np.argmax(taught.learnt))
    answer = int(np.argmin(taught.learnt[first:])) or len(taught.ids) - first
    start = max(0, first + min(answer, longest // 4) - longest)
    kept = slice(start, start + longest)
    side = "start" if start else "end"
    return Taught(taught.chat, taught.ids[kept], taught.learnt[kept]), side


def stop_ids(tokenizer: Any, configured: int | list[int] | None) -> list[int]:
    """The tokens after which an answer is over: what the base model names, and what the template
    writes at the end of an answer."""
    known = {tokenizer.eos_token_id}
    known |= set([configured] if isinstance(configured, int) else configured or [])
    example = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (last,) = teach(tokenizer, example, 0)
    end = int(last.ids[last.learnt][-1])
    if end in tokenizer.added_tokens_decoder:
        known.add(end)
    return sorted(known)
