"""Refusals of the models process, in the one error shape of the API."""

import json

from web.api import error_body, type_for


class Refusal(Exception):
    """An expected refusal: a status, a code from the API's vocabulary and a sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        sentence: str,
        *,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.param = param
        self.headers = headers or {}

    def body(self) -> bytes:
        """The JSON of the error."""
        shape = error_body(
            self.sentence, code=self.code, type_=type_for(self.status), param=self.param
        )
        return json.dumps(shape).encode()


def bad_request(sentence: str, param: str | None = None) -> Refusal:
    return Refusal(400, "invalid_parameter", sentence, param=param)


def unauthenticated(sentence: str) -> Refusal:
    return Refusal(401, "invalid_api_key", sentence, headers={"www-authenticate": "Bearer"})


def unknown_model(name: str) -> Refusal:
    return Refusal(
        404,
        "model_not_found",
        f"This team has no deployment named {name[:100]!r}. GET /v1/models lists what there is.",
        param="model",
    )


def out_of_quota() -> Refusal:
    return Refusal(
        402,
        "insufficient_quota",
        "This team has reached its monthly spend cap. "
        "Raise the cap on the Usage & billing page, or wait for the next month.",
        headers={"x-should-retry": "false"},
    )


def too_many_requests(wait_seconds: float) -> Refusal:
    return Refusal(
        429,
        "rate_limit_exceeded",
        "This API token sends requests faster than its limit. Slow down and try again.",
        headers={
            "retry-after": str(max(1, round(wait_seconds))),
            "retry-after-ms": str(max(1, round(wait_seconds * 1000))),
        },
    )


def overloaded() -> Refusal:
    return Refusal(
        503,
        "overloaded",
        "Too many rows are waiting for this model. Try again in a moment.",
        headers={"retry-after": "1"},
    )


def unavailable(sentence: str, *, retry_after_seconds: int = 1) -> Refusal:
    return Refusal(
        503, "service_unavailable", sentence, headers={"retry-after": str(retry_after_seconds)}
    )
