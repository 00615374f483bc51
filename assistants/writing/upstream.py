"""Asks a language model: one tuned here, or any OpenAI-compatible address of a team's own."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from typing import TypedDict

import httpx
from pydantic import BaseModel

from assistants import outgoing
from assistants.asking_token import asking_prefix
from assistants.errors import WriterUnavailable
from assistants.outgoing import OutgoingFailed, OutgoingRefused
from assistants.writing.writers import Writer
from inference.gateway import internal_token, web_process
from inference.gateway.models_client import open_client

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 256 * 1024
MAX_TOKENS = 400
BYTES_PER_TOKEN = 4
CHAT_PATH = "/chat/completions"
STREAMED: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
NOT_UNDERSTOOD = (400, 422)  # Some refuse these options: they are asked for a whole answer then.
MODELS_SECONDS = 60.0
_models = open_client(MODELS_SECONDS)


class ChatMessage(TypedDict):
    role: str
    content: str


class _Content(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    """Of a whole answer, or of a piece of one."""

    message: _Content = _Content()
    delta: _Content = _Content()


class _Usage(BaseModel):
    """Some servers tell the sum only."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


class Writing:
    """One completion within so many seconds.

    Its tokens are what the writer counted. One that counts none, or breaks off before it does, is
    paid all the same: then they are taken to be BYTES_PER_TOKEN long.
    """

    def __init__(
        self,
        writer: Writer,
        messages: Sequence[ChatMessage],
        seconds: float,
        *,
        in_pieces: bool,
    ) -> None:
        """`in_pieces`: asks for what is written as it is written."""
        self._writer, self._seconds = writer, seconds
        self._body: dict[str, object] = {
            "model": writer.settings.model,
            "messages": list(messages),
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
        }
        self._in_pieces = in_pieces
        self._usage: _Usage | None = None
        self._bytes_read = sum(len(message["content"].encode()) for message in messages)
        self._bytes_written = 0

    @property
    def tokens(self) -> int:
        """Read and written; 0 where nothing was written."""
        if self._usage is not None:
            parts = self._usage.prompt_tokens + self._usage.completion_tokens
            return max(parts, self._usage.total_tokens)
        read = -(-self._bytes_read // BYTES_PER_TOKEN) if self._bytes_written else 0
        return read + self.tokens_written

    @property
    def tokens_written(self) -> int:
        estimated = -(-self._bytes_written // BYTES_PER_TOKEN)
        if self._usage is None:
            return estimated
        return self._usage.completion_tokens or min(estimated, self._usage.total_tokens)

    def pieces(self) -> Iterator[str]:
        """The text as it comes. Raises WriterUnavailable, whatever went wrong."""
        ask = _ask_upstream if self._writer.settings.url else _ask_models
        try:
            chunks = ask(self._writer, self._body, self._seconds, self._in_pieces)
            for piece in self._read(chunks):
                self._bytes_written += len(piece.encode())
                yield piece
        except (OutgoingFailed, httpx.HTTPError, OSError, ValueError) as problem:
            logger.warning(
                "The writer of %s does not answer: %s", self._writer.assistant.pk, problem
            )
            raise WriterUnavailable from problem

    def _read(self, chunks: Iterator[bytes]) -> Iterator[str]:
        """Of a stream of events, or of a whole answer: some know no streams. Raises ValueError."""
        others: list[bytes] = []
        is_stream = False
        for line in _split_lines(chunks):
            if not line.startswith(b"data:"):
                others.append(line)
                continue
            is_stream, data = True, line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            if data:
                yield from (choice.delta.content or "" for choice in self._parse(data))
        if not is_stream:
            choices = self._parse(b"\n".join(others))
            if not choices or choices[0].message.content is None:
                raise ValueError("no answer")
            yield choices[0].message.content

    def _parse(self, data: bytes) -> list[_Choice]:
        completion = _Completion.model_validate_json(data)
        if completion.usage is not None:
            self._usage = completion.usage
        return completion.choices


def _split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    begun = b""
    for chunk in chunks:
        *lines, begun = (begun + chunk).split(b"\n")
        yield from lines
    yield begun


def validate_writer_url(text: str) -> str:
    """The base address, such as https://api.example.com/v1. Raises InvalidWebhookUrl."""
    return outgoing.validate_base_url(text, CHAT_PATH)


def _ask_models(
    writer: Writer, body: dict[str, object], seconds: float, in_pieces: bool
) -> Iterator[bytes]:
    assistant = writer.assistant
    token = internal_token.issue_token(
        assistant.team_id, None, source=assistant.source, prefix=asking_prefix.get()
    )
    headers = {
        internal_token.HEADER: token,
        web_process.HEADER: web_process.proof().decode(),
    }
    path, sent = "/v1" + CHAT_PATH, body | (STREAMED if in_pieces else {})
    deadline = time.monotonic() + seconds
    with _models.stream("POST", path, json=sent, headers=headers, timeout=seconds) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it took longer than {seconds} s")
            yield chunk


def _ask_upstream(
    writer: Writer, body: dict[str, object], seconds: float, in_pieces: bool
) -> Iterator[bytes]:
    """To a public address only, following nothing, bounded in time and size."""
    deadline = time.monotonic() + seconds

    def send(sent: dict[str, object]) -> Iterator[bytes]:
        return outgoing.stream(
            writer.settings.url.rstrip("/") + CHAT_PATH,
            outgoing.Body(json.dumps(sent).encode(), "application/json"),
            sealed_key=writer.sealed_key,
            seconds=deadline - time.monotonic(),
            max_bytes=MAX_ANSWER_BYTES,
        )

    if not in_pieces:
        yield from send(body)
        return
    try:
        yield from send(body | STREAMED)
    except OutgoingRefused as refusal:
        if refusal.status not in NOT_UNDERSTOOD:
            raise
        yield from send(body)
