"""Expected failures: each type has a code, an HTTP status and a sentence for people."""

from typing import ClassVar


def error_body(
    message: str,
    *,
    code: str | None,
    type_: str = "invalid_request_error",
    param: str | None = None,
) -> dict[str, dict[str, str | None]]:
    """The one error shape, as in OpenAI's schema: all four keys are always there."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def error_type_for_status(http_status: int) -> str:
    """OpenAI's word for the family of errors with this status."""
    return {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        429: "rate_limit_error",
    }.get(http_status, "server_error" if http_status >= 500 else "invalid_request_error")


class UserError(Exception):
    """An expected refusal. Rendered once for pages and once for the API, never caught in a view."""

    code: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400
    retry_after_seconds: ClassVar[int | None] = None
    sentence: str = "That request cannot be carried out."
    effect: ClassVar[str] = "Nothing was changed."  # Shown below the sentence.

    def __init__(self, sentence: str | None = None, *, param: str | None = None) -> None:
        self.sentence = sentence or type(self).sentence
        self.headers: dict[str, str] = {}  # What the answer says beside it, such as Retry-After.
        if self.retry_after_seconds is not None:
            self.headers["Retry-After"] = str(self.retry_after_seconds)
        self.param = param  # The field or parameter at fault, when there is one.
        super().__init__(self.sentence)


class NotAllowed(UserError):
    code, status = "permission_denied", 403
    sentence = "Your role in this team does not allow this. Ask an owner or admin of the team."
