"""Middleware: a request id, the caller's address, and expected refusals as pages or JSON."""

import ipaddress
import re
import secrets
from collections.abc import Awaitable
from contextvars import ContextVar

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin

from web.browser.refusals import page_with_the_button
from web.errors import UserError, error_body, error_type_for_status
from web.log_context import request_id

# Read by the audit log, which has no request at hand.
client_address: ContextVar[str | None] = ContextVar("client_address", default=None)

REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{8,64}")
API_PATH_PREFIXES = ("/api/", "/v1/", "/consult")


def is_api_request(request: HttpRequest) -> bool:
    """Whether this address belongs to the API, where every answer is JSON."""
    return request.path.startswith(API_PATH_PREFIXES) and not request.path.startswith("/api/docs")


class RequestIdMiddleware(MiddlewareMixin):
    """Names each request in `X-Request-Id` and in logs; a well-formed id of the caller is kept."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        sent_id = request.headers.get("X-Request-Id", "")
        is_usable = REQUEST_ID_PATTERN.fullmatch(sent_id)
        request_id.set(sent_id if is_usable else f"req_{secrets.token_hex(12)}")
        client_address.set(_client_address_of(request))
        response = self.get_response(request)
        if isinstance(response, HttpResponseBase):
            return _add_request_id(response)
        return _add_request_id_async(response)


def _client_address_of(request: HttpRequest) -> str | None:
    """REMOTE_ADDR only: the server that knows its proxies evaluates forwarded headers."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:  # A unix socket has no address.
        return None


def _add_request_id(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("X-Request-Id", request_id.get())
    return response


async def _add_request_id_async(response: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    return _add_request_id(await response)


class PrivatePagesMiddleware(MiddlewareMixin):
    """What answers a credential is for its owner: no cache on the way, and none of the browser,
    keeps it after signing out. Views that set Cache-Control themselves know better."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        response = self.get_response(request)
        if isinstance(response, HttpResponseBase):
            return _keep_private(request, response)
        return _keep_private_async(request, response)


def _keep_private(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    is_private = (
        settings.SESSION_COOKIE_NAME in request.COOKIES or "Authorization" in request.headers
    )
    if is_private or response.cookies:
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response


async def _keep_private_async(
    request: HttpRequest, response: Awaitable[HttpResponseBase]
) -> HttpResponseBase:
    return _keep_private(request, await response)


class UserErrorMiddleware(MiddlewareMixin):
    """Turns an expected refusal into a page, an htmx fragment or JSON. Views never catch it."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Django's hook; runs for sync and async views alike."""
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
