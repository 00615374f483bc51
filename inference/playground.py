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


def ask(deployment: Deployment, person: User, row: str | dict[str, Any]) -> Answer:
    """Raises BadQuestion with the models process's own sentence, or ModelsUnreachable."""
    try:
        answer = httpx.post(
            f"{settings.MODELS_URL}/v1/classify",
            json={"model": deployment.name, "input": row},
            headers={passes.HEADER: passes.issue(deployment.team_id, person.pk)},
            timeout=SECONDS,
        )
        content = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ModelsUnreachable from error
    if answer.status_code != 200:
        raise BadQuestion(content["error"]["message"])
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
