"""Writes an answer from passages, sentence by sentence only what they say."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from assistants.errors import WriterUnavailable
from assistants.writing.grounding import CheckedSentence, check_sentence, iter_sentences
from assistants.writing.instructions import INSTRUCTIONS
from assistants.writing.upstream import ChatMessage, Writing
from assistants.writing.writers import Writer
from web.front.admission_queue import elsewhere

SECONDS = 8.0
WECHAT_SECONDS = 3.5  # WeChat waits for five, with all that comes before and behind.
Listener = Callable[[str], None]  # Told each sentence that may be said, when it is written.


class Passage(Protocol):
    """What a writer may rest on."""

    @property
    def heading(self) -> str: ...

    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class WrittenAnswer:
    """Sentences that may be said, the passages they rest on, and what was held back."""

    sentences: list[CheckedSentence]
    held_back: list[CheckedSentence]
    tokens: int  # Read and written.
    tokens_written: int

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def cited(self) -> list[int]:
        return sorted({number for sentence in self.sentences for number in sentence.cited})


def write_answer(
    writer: Writer | None,
    question: str,
    passages: Sequence[Passage],
    seconds: float = SECONDS,
    say: Listener | None = None,
) -> WrittenAnswer | None:
    """None where nobody writes, or the writer does not begin to in time. An answer that
    breaks off is what was said of it until then."""
    if writer is None or not passages:
        return None
    settings = writer.settings
    messages = build_messages(question, passages, settings.style, settings.instructions)
    writing = Writing(writer, messages, seconds, in_pieces=bool(say))
    texts = [f"{passage.heading} {passage.text}" for passage in passages]
    released: list[CheckedSentence] = []
    held_back: list[CheckedSentence] = []
    try:
        for sentence in _waiting(iter_sentences(writing.pieces())):
            checked = check_sentence(sentence, texts)
            if checked.problem or held_back:  # What follows may build on it.
                held_back.append(checked)
                continue
            released.append(checked)
            if say is not None:
                say(checked.text)
    except WriterUnavailable:
        if not writing.tokens_written:
            return None
    return WrittenAnswer(released, held_back, writing.tokens, writing.tokens_written)


def _waiting(sentences: Iterator[str]) -> Iterator[str]:
    """Each takes seconds to be written, in which others may work."""
    while True:
        with elsewhere():
            sentence = next(sentences, None)
        if sentence is None:
            return
        yield sentence


def build_messages(
    question: str,
    passages: Sequence[Passage],
    style: str = "",
    instructions: str = INSTRUCTIONS,
) -> list[ChatMessage]:
    """The passages and the question between marks that nobody can guess."""
    mark = f"<<{secrets.token_hex(8)}>>"
    parts = [
        f"[{number}] {mark}\n{passage.heading}\n{passage.text}\n{mark}"
        for number, passage in enumerate(passages, 1)
    ]
    styled = f" Write in this style: {style}." if style else ""
    marked_question = f"Question: {mark}\n{question}\n{mark}"
    return [
        {"role": "system", "content": instructions.replace("{mark}", mark) + styled},
        {"role": "user", "content": "\n\n".join([*parts, marked_question])},
    ]
