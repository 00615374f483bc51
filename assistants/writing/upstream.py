"""Asks a language model: one tuned here, or any OpenAI-compatible address of a team's own."""

import json
import logging
from collections.abc import Sequence
from typing import TypedDict

import httpx
from django.conf import settings
from pydantic import BaseModel, ValidationError

from assistants import outgoing
from assistants.errors import WriterUnavailable
from assistants.models import Assistant
from assistants.outgoing import OutgoingFailed
from inference.gateway import internal_token, web_process

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 256 * 1024
MAX_TOKENS = 400
CHAT_PATH = "/chat/completions"


class ChatMessage(TypedDict):
    role: str
    content: str


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    total_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage = _Usage()


class Written(BaseModel):
    """What the model wrote, and the tokens it took."""

    text: str
    tokens: int


def write(assistant: Assistant, messages: Sequence[ChatMessage], seconds: float) -> Written:
    """One completion within so many seconds. Raises WriterUnavailable, whatever went wrong."""
    body = {
        "model": assistant.writer_model,
        "messages": list(messages),
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
    }
    try:
        ask = _ask_upstream if assistant.writer_url else _ask_models
        completion = _Completion.model_validate_json(ask(assistant, body, seconds))
        if not completion.choices:
            raise ValueError("no choice")
    except (OutgoingFailed, httpx.HTTPError, OSError, ValidationError, ValueError) as problem:
        logger.warning("The writer of %s does not answer: %s", assistant.pk, problem)
        raise WriterUnavailable from problem
    return Written(text=completion.choices[0].message.content, tokens=completion.usage.total_tokens)


def validate_writer_url(text: str) -> str:
    """The base address, such as https://api.example.com/v1. Raises InvalidWebhookUrl."""
    return outgoing.validate_base_url(text, CHAT_PATH)


def _ask_models(assistant: Assistant, body: dict[str, object], seconds: float) -> bytes:
    token = internal_token.issue_token(assistant.team_id, None, source=assistant.source)
    headers = {
        internal_token.HEADER: token,
        web_process.HEADER: web_process.proof().decode(),
    }
    url = settings.MODELS_URL + "/v1" + CHAT_PATH
    answer = httpx.post(url, json=body, headers=headers, timeout=seconds)
    answer.raise_for_status()
    return answer.content


def _ask_upstream(assistant: Assistant, body: dict[str, object], seconds: float) -> bytes:
    """To a public address only, following nothing, bounded in time and size."""
    return outgoing.post(
        assistant.writer_url.rstrip("/") + CHAT_PATH,
        outgoing.Body(json.dumps(body).encode(), "application/json"),
        sealed_key=assistant.writer_key,
        seconds=seconds,
        max_bytes=MAX_ANSWER_BYTES,
    )
