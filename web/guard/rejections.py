"""What the guard answers when it refuses: API errors as JSON, pages as pages."""

import json
import secrets
from dataclasses import dataclass
from functools import lru_cache

from django.http import HttpRequest, parse_cookie
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import escape
from starlette.types import Message, Scope

from web.database.pool import DatabaseBusy
from web.errors import error_body, error_type_for_status
from web.language.sentences import translated

API_PATH_PREFIXES = ("/api/", "/v1/", "/consult")
_PAGE_POLICY = b"default-src 'self'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Rejection:
    """A status, a code of the API's vocabulary and a true sentence."""

    status: int
    code: str
    sentence: str
    retry_after_seconds: int | None = None
    is_of_slow_body: bool = False  # Nothing comes any more: there is nothing to wait for.


def body_too_large(max_bytes: int) -> Rejection:
    return Rejection(413, "request_too_large", f"The body is larger than {_size(max_bytes)}.")


def body_too_slow(seconds: float) -> Rejection:
    return Rejection(
        408,
        "request_timeout",
        f"The rest of the body did not arrive within {seconds:g} s. Send it again.",
        is_of_slow_body=True,
    )


def sign_in_to_upload(max_bytes: int) -> Rejection:
    return Rejection(
        401,
        "invalid_api_key",
        f"More than {_size(max_bytes)} is accepted only from somebody who is signed in, or with a "
        "valid API token that has the scope 'write'. Nothing was stored.",
    )


TOO_MANY_UPLOADS = Rejection(
    429,
    "rate_limit_exceeded",
    "Several large uploads of yours are still under way. Wait until one of them has ended.",
    retry_after_seconds=10,
)
TOO_MANY_SLOW_BODIES = Rejection(
    429,
    "rate_limit_exceeded",
    "Too many requests from your address are only half sent. Send their rest or close them.",
    retry_after_seconds=5,
    is_of_slow_body=True,
)
TOO_MANY_REQUESTS = Rejection(
    429,
    "rate_limit_exceeded",
    "Too many requests from your address are being answered at once. Wait until some have ended.",
    retry_after_seconds=1,
)
OVERLOADED = Rejection(
    503,
    "overloaded",
    "Too many requests are being answered at once. Try again in a moment.",
    retry_after_seconds=2,
)
NO_ROOM = Rejection(
    503,
    "insufficient_storage",
    "This server has no room for an upload of that size at the moment. Try again later.",
    retry_after_seconds=600,
)


BUSY = Rejection(
    DatabaseBusy.status,
    DatabaseBusy.code,
    DatabaseBusy.sentence,
    retry_after_seconds=DatabaseBusy.retry_after_seconds,
)
CHECK_FAILED = Rejection(
    503,
    "service_unavailable",
    "Whether you may upload cannot be checked at the moment. Try again in a moment.",
    retry_after_seconds=2,
)


def answer(
    rejection: Rejection, scope: Scope, *, has_pages: bool, closes: bool
) -> tuple[Message, bytes]:
    """The head and the body: JSON for the API, and where the process has no pages at all.

    `closes` says that the connection ends, because the body before it was not read to its end.
    """
    is_api = not has_pages or scope["path"].startswith(API_PATH_PREFIXES)
    content_type, body, headers = _json(rejection) if is_api else _page(rejection, scope)
    headers += [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", f"req_{secrets.token_hex(12)}".encode()),
    ]
    if rejection.retry_after_seconds is not None:
        headers.append((b"retry-after", str(rejection.retry_after_seconds).encode()))
    if rejection.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if closes and scope["http_version"].startswith("1"):
        headers.append((b"connection", b"close"))
    return {"type": "http.response.start", "status": rejection.status, "headers": headers}, body


Content = tuple[bytes, bytes, list[tuple[bytes, bytes]]]  # Its type, itself, further headers.


def _json(rejection: Rejection) -> Content:
    type_ = error_type_for_status(rejection.status)
    shape = error_body(rejection.sentence, code=rejection.code, type_=type_)
    return b"application/json", json.dumps(shape).encode(), []


def _page(rejection: Rejection, scope: Scope) -> Content:
    content_type = b"text/html; charset=utf-8"
    headers = dict(scope["headers"])
    language = _language_of(headers)
    if b"hx-request" in headers:
        with translation.override(language):
            sentence = escape(translated(rejection.sentence))
        fragment = f'<div class="alert" data-variant="destructive">{sentence}</div>'
        placed = [(b"hx-retarget", b"#problem"), (b"hx-reswap", b"innerHTML")]
        return content_type, fragment.encode(), placed
    page = _rendered(rejection.sentence, language)
    return content_type, page, [(b"content-security-policy", _PAGE_POLICY)]


def _language_of(headers: dict[bytes, bytes]) -> str:
    """As Django chooses it for a request, which is not made yet."""
    request = HttpRequest()
    request.COOKIES = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    request.META["HTTP_ACCEPT_LANGUAGE"] = headers.get(b"accept-language", b"").decode("latin-1")
    return translation.get_language_from_request(request)


@lru_cache(maxsize=64)
def _rendered(sentence: str, language: str) -> bytes:
    """Rendered once: whoever is refused a thousand times a second must not cost a template each."""
    with translation.override(language):
        return render_to_string("refused.html", {"sentence": sentence}).encode()


def _size(max_bytes: int) -> str:
    """Such as "5 MiB", "1.5 GiB" or "900 bytes"."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if max_bytes >= unit:
            return f"{max_bytes / unit:.3g} {name}"
    return f"{max_bytes} bytes"
