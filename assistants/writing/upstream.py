"""Asks a language model: one tuned here, or any OpenAI-compatible address of a team's own."""

import json
import logging
from collections.abc import Sequence
from typing import TypedDict

import httpcore
import httpx
from django.conf import settings
from pydantic import BaseModel, ValidationError

from accounts.webhooks import secret_encryption
from accounts.webhooks.http_client import ssl_context
from accounts.webhooks.ssrf_guard import ForbiddenAddress, SsrfGuardBackend, validate_webhook_url
from assistants.errors import WriterUnavailable
from assistants.models import Assistant
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
        answer = _ask_upstream(assistant, body, seconds) if assistant.writer_url else None
        answer = answer or _ask_models(assistant, body, seconds)
        completion = _Completion.model_validate_json(answer)
        if not completion.choices:
            raise ValueError("no choice")
    except (
        ForbiddenAddress, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException,
        httpcore.ConnectError, httpx.HTTPError, OSError, ValidationError, ValueError,
    ) as problem:  # fmt: skip
        logger.warning("The writer of %s does not answer: %s", assistant.pk, problem)
        raise WriterUnavailable from problem
    return Written(text=completion.choices[0].message.content, tokens=completion.usage.total_tokens)


def validate_writer_url(text: str) -> str:
    """The base address, such as https://api.example.com/v1. Raises InvalidWebhookUrl."""
    return validate_webhook_url(text.strip().rstrip("/").removesuffix(CHAT_PATH))


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
    headers = [("content-type", "application/json"), ("user-agent", "Lathe-Writer/1")]
    if assistant.writer_key:
        headers.append(
            ("authorization", f"Bearer {secret_encryption.decrypt(assistant.writer_key)}")
        )
    backend = SsrfGuardBackend(seconds)
    url = assistant.writer_url.rstrip("/") + CHAT_PATH
    content = json.dumps(body).encode()
    received = b""
    with (
        httpcore.ConnectionPool(ssl_context=ssl_context(), network_backend=backend) as pool,
        pool.stream("POST", url, headers=headers, content=content) as response,
    ):
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        for chunk in response.iter_stream():
            received += chunk
            if len(received) > MAX_ANSWER_BYTES:
                raise ValueError("its answer is too long")
    return received
