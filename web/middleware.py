"""Middleware: a request id, the caller's address, and expected refusals as pages or JSON."""

import ipaddress
import re
import secrets
from contextvars import ContextVar

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string

from web.browser.refusals import page_with_the_button
from web.errors import UserError, error_body, error_type_for_status
from web.front.middleware import SynchronousMiddleware
from web.log_context import request_id

# Read by the audit log, which has no request at hand.
client_address: ContextVar[str | None] = ContextVar("client_address", default=None)

REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{8,64}")
API_PATH_PREFIXES = ("/api/", "/v1/", "/consult")


def is_api_request(request: HttpRequest) -> bool:
    """Whether this address belongs to the API, where every answer is JSON."""
    return request.path.startswith(API_PATH_PREFIXES) and not request.path.startswith("/api/docs")


class RequestIdMiddleware(SynchronousMiddleware):
    """Names each request in `X-Request-Id` and in logs; a well-formed id of the caller is kept."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent_id = request.headers.get("X-Request-Id", "")
        is_usable = REQUEST_ID_PATTERN.fullmatch(sent_id)
        request_id.set(sent_id if is_usable else f"req_{secrets.token_hex(12)}")
        client_address.set(_client_address_of(request))
        response = self.get_response(request)
        response.headers.setdefault("X-Request-Id", request_id.get())
        return response


def _client_address_of(request: HttpRequest) -> str | None:
    """REMOTE_ADDR only: the server that knows its proxies evaluates forwarded headers."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:  # A unix socket has no address.
        return None


class PrivatePagesMiddleware(SynchronousMiddleware):
    """What answers a credential is for its owner: no cache on the way, and none of the browser,
    keeps it after signing out. Views that set Cache-Control themselves know better."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Django's hook."""
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if has_session or "Authorization" in request.headers or response.cookies:
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class UserErrorMiddleware(SynchronousMiddleware):
    """Turns an expected refusal into a page, an htmx fragment or JSON. Views never catch it."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Django's hook."""
        return render_user_error(request, error) if isinstance(error, UserError) else None


def render_user_error(request: HttpRequest, error: UserError) -> HttpResponse:
    """The refusal in the form this request can show."""
    response = _render_sentence(request, error)
    for name, value in error.headers.items():
        response[name] = value
    return response


def _render_sentence(request: HttpRequest, error: UserError) -> HttpResponse:
    if is_api_request(request):
        return _json_error(error)
    if getattr(request, "htmx", False):
        response = render(request, "_problem.html", {"problem": error}, status=error.status)
        # Shown in the page's own place for problems, whatever the element wanted to replace.
        response["HX-Retarget"] = "#problem"
        response["HX-Reswap"] = "innerHTML"
        return response
    if page := page_with_the_button(request):
        messages.error(request, error.sentence)
        return redirect(page)
    return render(request, "problem.html", {"problem": error}, status=error.status)


def render_plain_error(request: HttpRequest, error: UserError) -> HttpResponse:
    """The refusal without asking who signed in: for requests that nothing else should look at."""
    if is_api_request(request):
        return _json_error(error)
    context = {"sentence": error.sentence, "status": error.status, "request_id": request_id.get()}
    return HttpResponse(render_to_string("400.html", context), status=error.status)


def _json_error(error: UserError) -> JsonResponse:
    body = error_body(
        error.sentence,
        code=error.code,
        type_=error_type_for_status(error.status),
        param=error.param,
    )
    return JsonResponse(body, status=error.status)
