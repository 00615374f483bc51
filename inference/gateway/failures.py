"""What a client is told when the models process gives it no whole answer."""

import secrets

from starlette.responses import JSONResponse

from inference.gateway.upstream.connection import AnswerTooLate, BadAnswer, UpstreamError
from inference.gateway.upstream.pool import TooManyConnections
from web.errors import error_body, error_type_for_status


class TooManyBodies(UpstreamError):
    """The bodies held at once fill the memory that is set aside for them."""


class BadTarget(UpstreamError):
    """The request's address has bytes that no HTTP request line can hold."""


def error_response(error: UpstreamError) -> JSONResponse:
    """The failure in the API's error shape."""
    if isinstance(error, BadTarget):
        status, code, sentence = 400, "invalid_request", "That address is not a valid URL."
    elif isinstance(error, TooManyConnections | TooManyBodies):
        status, code = 503, "overloaded"
        sentence = "Too many requests are being answered at once. Try again in a moment."
    elif isinstance(error, AnswerTooLate | BadAnswer):
        status, code = 502, "bad_gateway"
        sentence = "The models process did not give a whole answer. Try again in a moment."
    else:
        status, code = 503, "service_unavailable"
        sentence = "The models process does not answer at the moment. Try again in a moment."
    headers = {
        "x-request-id": f"req_{secrets.token_hex(12)}",
        "x-content-type-options": "nosniff",
    }
    if status >= 500:
        headers["retry-after"] = "1"
    content = error_body(sentence, code=code, type_=error_type_for_status(status))
    return JSONResponse(content, status, headers)
