"""What wraps every request: a request id, the caller's address, and refusals as pages or JSON."""

import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import ClassVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from web.api import error_body, type_for
from web.errors import UserError

Handler = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

# Read by the audit log and by log lines, which have no request at hand.
client_address: ContextVar[str | None] = ContextVar("client_address", default=None)
request_id: ContextVar[str] = ContextVar("request_id", default="")

ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
MACHINE_PATHS = ("/api/", "/v1/")


def speaks_json(request: HttpRequest) -> bool:
    """Whether this address belongs to the API, where every answer is JSON."""
    return request.path.startswith(MACHINE_PATHS) and not request.path.startswith("/api/docs")


class RequestIdMiddleware:
    """Names each request, in `X-Request-Id` and in logs; a caller's own sane id is kept."""

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        _note(request)
        response = self.get_response(request)
        if isinstance(response, HttpResponseBase):
            return _named(response)
        return _named_later(response)


def _note(request: HttpRequest) -> None:
    given = request.headers.get("X-Request-Id", "")
    named = given if ACCEPTABLE_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
    request_id.set(named)
    client_address.set(_address_of(request))


def _address_of(request: HttpRequest) -> str | None:
    """REMOTE_ADDR only: a forwarded header is for the proxy-aware server to judge, not for us."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:  # A unix socket has no address.
        return None


def _named(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("X-Request-Id", request_id.get())
    return response


async def _named_later(coming: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    return _named(await coming)


class UserErrorMiddleware:
    """Turns an expected refusal into a page, an htmx fragment or JSON. Views never catch it."""

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Django's hook; runs for sync and async views alike."""
        return problem(request, error) if isinstance(error, UserError) else None


def problem(request: HttpRequest, error: UserError) -> HttpResponse:
    """The refusal in the form this request can show."""
    if speaks_json(request):
        body = error_body(
            error.sentence, code=error.code, type_=type_for(error.status), param=error.param
        )
        return JsonResponse(body, status=error.status)
    if getattr(request, "htmx", False):
        response = render(request, "_problem.html", {"problem": error}, status=error.status)
        # Shown in the page's own place for problems, whatever the element wanted to replace.
        response["HX-Retarget"] = "#problem"
        response["HX-Reswap"] = "innerHTML"
        return response
    return render(request, "problem.html", {"problem": error}, status=error.status)
