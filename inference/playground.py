"""Asks the models process on behalf of a signed-in person, with a playground pass."""

from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from accounts.models import User
from inference import passes
from inference.errors import BadQuestion, ModelsUnreachable
from inference.models import Deployment

SECONDS = 20.0  # Covers a model that must be fetched and loaded first.
MOST_CHARACTERS = 10_000
WRITTEN_TOKENS = 200  # Of a language model's answer: the page waits for all of it.


@dataclass(frozen=True)
class Answer:
    """What the page shows: every label's score, best first."""

    row: str | dict[str, Any]
    label: str  # Of several, all that are given; empty for a number.
    value: float | None  # Of a number.
    scores: list[dict[str, Any]]  # [{"label", "score"}], best first; none for a number.
    milliseconds: float
    tokens: int
    request_id: str
    text: str | None = None  # Of a language model.


def ask(deployment: Deployment, person: User, row: str | dict[str, Any]) -> Answer:
    """Raises BadQuestion with the models process's own sentence, or ModelsUnreachable."""
    writes = deployment.model.task == "text-generation"
    path, body = (
        ("/v1/chat/completions", _chat(row)) if writes else ("/v1/classify", {"input": row})
    )
    try:
        answer = httpx.post(
            f"{settings.MODELS_URL}{path}",
            json={"model": deployment.name, **body},
            headers={passes.HEADER: passes.issue(deployment.team_id, person.pk)},
            timeout=SECONDS,
        )
        content = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ModelsUnreachable from error
    if answer.status_code != 200:
        raise BadQuestion(content["error"]["message"])
    if writes:
        return _written(row, content, answer.elapsed.total_seconds() * 1000)
    item = content["data"][0]
    return Answer(
        row=row,
        label=item.get("label") or ", ".join(item.get("labels", [])),
        value=item.get("value"),
        scores=item.get("scores", []),
        milliseconds=answer.elapsed.total_seconds() * 1000,
        tokens=content["usage"]["prompt_tokens"],
        request_id=content["id"],
    )


def _chat(row: str | dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "user", "content": row}]
    return {"messages": messages, "max_tokens": WRITTEN_TOKENS, "temperature": 0}


def _written(row: str | dict[str, Any], content: dict[str, Any], milliseconds: float) -> Answer:
    return Answer(
        row=row,
        label="",
        value=None,
        scores=[],
        milliseconds=milliseconds,
        tokens=content["usage"]["total_tokens"],
        request_id=content["id"],
        text=content["choices"][0]["message"]["content"],
    )
