"""Predicts through the models process for a signed-in person, with an internal token."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from engine.catalog import CATALOG
from engine.catalog.entries import BaseModelEntry
from inference.errors import ModelsUnreachable, PredictionRejected
from inference.gateway import internal_token, web_process
from inference.models import Deployment

Row = str | dict[str, object]  # A text, a picture as base64, or a table's features by name.
TIMEOUT_SECONDS = 20.0  # Covers a model that must be fetched and loaded first.
STREAM_TIMEOUT_SECONDS = 120.0  # Without a byte: others may be answered first.
MAX_CHARACTERS = 10_000
MAX_NEW_TOKENS = 200  # Of a language model's answer: the page waits for all of it.


@dataclass(frozen=True)
class Prediction:
    """What the page shows: every label's score, best first."""

    row: Row
    label: str  # Of several, all that are given; empty for a number.
    value: float | None  # Of a number.
    scores: list[dict[str, object]]  # [{"label", "score"}], best first; none for a number.
    milliseconds: float
    tokens: int
    request_id: str
    text: str | None = None  # Of a language model.


def predict(deployment: Deployment, person: User, row: Row) -> Prediction:
    """Raises PredictionRejected with the models process's own sentence, or ModelsUnreachable."""
    is_generative = deployment.model.task == "text-generation"
    path = "/v1/chat/completions" if is_generative else "/v1/classify"
    body = _chat_body(row) if is_generative else {"input": row}
    token = internal_token.issue_token(deployment.team_id, person.pk)
    content, milliseconds = _post(path, {"model": deployment.name, **body}, token)
    if is_generative:
        return Prediction(
            row=row,
            label="",
            value=None,
            scores=[],
            milliseconds=milliseconds,
            tokens=content["usage"]["total_tokens"],
            request_id=content["id"],
            text=content["choices"][0]["message"]["content"],
        )
    item = content["data"][0]
    return Prediction(
        row=row,
        label=item.get("label") or ", ".join(item.get("labels", [])),
        value=item.get("value"),
        scores=item.get("scores", []),
        milliseconds=milliseconds,
        tokens=content["usage"]["prompt_tokens"],
        request_id=content["id"],
    )


def pretrained_at_hand(base_model: str) -> BaseModelEntry | None:
    """The base model, if it can answer beside the tuned one: not one made from scratch, nor one
    that would be downloaded first."""
    entry = CATALOG.get(base_model)
    is_usable = entry is not None and entry.source.kind != "scratch" and entry.is_at_hand
    return entry if is_usable else None


async def stream_chat(
    deployment: Deployment, person_id: int, messages: list[dict[str, str]], *, by_base: bool
) -> AsyncGenerator[bytes, None]:
    """The events of a streamed chat completion as they come; a refusal is one event with an error.

    `by_base`: what the model's base answers, as it is before any tuning.
    """
    import httpx

    from inference.gateway.models_client import open_async_client

    token = internal_token.issue_token(deployment.team_id, person_id, asks_base=by_base)
    body = {
        "model": deployment.name,
        "messages": messages,
        "max_tokens": MAX_NEW_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    path = "/v1/chat/completions"
    try:
        async with (
            open_async_client(STREAM_TIMEOUT_SECONDS) as client,
            client.stream("POST", path, json=body, headers=_headers(token)) as answer,
        ):
            if answer.status_code == 200:
                async for part in answer.aiter_bytes():
                    yield part
            else:
                yield _event(json.loads(await answer.aread()))
    except (httpx.HTTPError, ValueError):
        yield _event({"error": {"message": ModelsUnreachable.sentence}})


def _event(content: object) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _headers(token: str) -> dict[str, str]:
    return {internal_token.HEADER: token, web_process.HEADER: web_process.proof().decode()}


def _post(path: str, body: dict[str, object], token: str) -> tuple[Any, float]:
    """The models process's answer, and after how many milliseconds it came."""
    import httpx  # Here, because every process loads this module and few of them ask.

    from inference.gateway.models_client import shared_client

    try:
        answer = shared_client().post(
            path,
            json=body,
            headers=_headers(token),
            timeout=TIMEOUT_SECONDS,
        )
        content = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ModelsUnreachable from error
    if answer.status_code != 200:
        raise PredictionRejected(content["error"]["message"])
    return content, answer.elapsed.total_seconds() * 1000


def _chat_body(row: Row) -> dict[str, object]:
    messages = [{"role": "user", "content": row}]
    return {"messages": messages, "max_tokens": MAX_NEW_TOKENS, "temperature": 0}
