"""Predicts through the models process for a signed-in person, with an internal token."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.models import User
from inference.errors import ModelsUnreachable, PredictionRejected
from inference.gateway import internal_token, web_process
from inference.models import Deployment

Row = str | dict[str, object]  # A text, a picture as base64, or a table's features by name.
TIMEOUT_SECONDS = 20.0  # Covers a model that must be fetched and loaded first.
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


def _post(path: str, body: dict[str, object], token: str) -> tuple[Any, float]:
    """The models process's answer, and after how many milliseconds it came."""
    import httpx  # Here, because every process loads this module and few of them ask.

    try:
        answer = httpx.post(
            settings.MODELS_URL + path,
            json=body,
            headers={
                internal_token.HEADER: token,
                web_process.HEADER: web_process.proof().decode(),
            },
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
