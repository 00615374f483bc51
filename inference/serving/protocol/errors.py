"""Errors that the models process answers with, in the one error shape of the API."""

import orjson

from billing.money import plain_dollars
from web.database.pool import DatabaseBusy
from web.errors import error_body, error_type_for_status


class ApiError(Exception):
    """An expected error: a status, a code from the API's vocabulary and a sentence."""

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
        return orjson.dumps({"error": self.as_error()})

    def as_error(self) -> object:
        """The object under `error`, which a row of a batch may have too."""
        shape = error_body(
            self.sentence,
            code=self.code,
            type_=error_type_for_status(self.status),
            param=self.param,
        )
        return shape["error"]


def bad_request(sentence: str, param: str | None = None) -> ApiError:
    return ApiError(400, "invalid_parameter", sentence, param=param)


def unauthenticated(sentence: str) -> ApiError:
    return ApiError(401, "invalid_api_key", sentence, headers={"www-authenticate": "Bearer"})


def unknown_model(name: str) -> ApiError:
    return ApiError(
        404,
        "model_not_found",
        f"This team has no deployment named {name[:100]!r}. GET /v1/models lists what there is.",
        param="model",
    )


def only_embeds(name: str) -> ApiError:
    sentence = f"{name} is a base model that only embeds texts: ask it at /v1/embeddings."
    return ApiError(404, "model_not_found", sentence, param="model")


def out_of_quota() -> ApiError:
    return ApiError(
        402,
        "insufficient_quota",
        "This team has reached its monthly spend cap. "
        "Raise the cap on the Usage & billing page, or wait for the next month.",
        headers={"x-should-retry": "false"},
    )


def out_of_token_budget(budget_micro: int) -> ApiError:
    return ApiError(
        402,
        "insufficient_quota",
        f"This API token has spent its budget of ${plain_dollars(budget_micro)} for this"
        " month. Use another token, or wait for the next month.",
        headers={"x-should-retry": "false"},
    )


def model_not_allowed(name: str) -> ApiError:
    return ApiError(
        403,
        "model_not_allowed",
        f"This API token may not ask {name[:100]!r}: it is limited to other models.",
        param="model",
    )


def too_many_requests(wait_seconds: float) -> ApiError:
    return ApiError(
        429,
        "rate_limit_exceeded",
        "This API token sends requests faster than its limit. Slow down and try again.",
        headers={
            "retry-after": str(max(1, round(wait_seconds))),
            "retry-after-ms": str(max(1, round(wait_seconds * 1000))),
        },
    )


def overloaded() -> ApiError:
    return ApiError(
        503,
        "overloaded",
        "Too many rows are waiting for this model. Try again in a moment.",
        headers={"retry-after": "1"},
    )


def database_busy() -> ApiError:
    return ApiError(
        DatabaseBusy.status,
        DatabaseBusy.code,
        DatabaseBusy.sentence,
        headers={"retry-after": str(DatabaseBusy.retry_after_seconds)},
    )


def generation_overloaded() -> ApiError:
    return ApiError(
        503,
        "overloaded",
        "Too many answers of all teams are being written here. Try again in a moment.",
        headers={"retry-after": "1"},
    )


def too_many_answers(most: int) -> ApiError:
    """For a team that has its share under way: others are served meanwhile."""
    return ApiError(
        429,
        "too_many_concurrent_requests",
        f"Your team has {most} answers being written or waiting, which is its share."
        " Wait until one of them ends.",
        headers={"retry-after": "1"},
    )


def service_unavailable(sentence: str, *, retry_after_seconds: int = 1) -> ApiError:
    return ApiError(
        503, "service_unavailable", sentence, headers={"retry-after": str(retry_after_seconds)}
    )
