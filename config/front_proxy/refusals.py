"""The few answers that the front proxy gives itself, as bytes; each ends its connection."""

import json
import secrets
from http import HTTPStatus

from inference.gateway.failures import error_response
from inference.gateway.upstream.connection import UpstreamError
from web.errors import error_body

API_PREFIXES = (b"/api/", b"/v1/")
Header = tuple[bytes, bytes]


def upstream_failure(error: UpstreamError) -> bytes:
    """The models process gave no answer."""
    response = error_response(error)
    return _answer(response.status_code, response.raw_headers, bytes(response.body))


def web_unreachable(target: bytes) -> bytes:
    """The web process does not answer: it is starting, or has just ended."""
    sentence = "Lathe is starting, or does not answer for a moment. Try again shortly."
    headers = [(b"retry-after", b"2")]
    if not target.startswith(API_PREFIXES):
        return _plain(503, sentence, headers)
    body = error_body(sentence, code="service_unavailable", type_="server_error")
    headers += [
        (b"content-type", b"application/json"),
        (b"x-request-id", f"req_{secrets.token_hex(12)}".encode()),
    ]
    return _answer(503, headers, json.dumps(body).encode())


def _plain(status: int, sentence: str, headers: list[Header] | None = None) -> bytes:
    kind = (b"content-type", b"text/plain; charset=utf-8")
    return _answer(status, [*(headers or []), kind], sentence.encode())


def _answer(status: int, headers: list[Header], body: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
    lines += [name + b": " + value for name, value in headers if name != b"content-length"]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
    return b"\r\n".join(lines)


MALFORMED = _plain(400, "That is not a valid HTTP request.")
HEAD_TOO_LARGE = _plain(431, "The headers of the request are too large.")
