"""Middleware for answers to browsers: sign-in for fragments, wrong methods, compression."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from web.front.middleware import SynchronousMiddleware
from web.middleware import is_api_request

FRAGMENT_TYPES = ("application/json", "text/event-stream")


class PageAnswerMiddleware(SynchronousMiddleware):
    """Replaces two answers that a browser cannot show.

    A fragment, chart or stream whose session has ended would get the login page, and draw it into
    its small place: it gets 401, and htmx goes to the login page. A page address that only takes
    forms, opened by GET (a reload, a shared link), leads to the page above it.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return _answer_for_browser(request, self.get_response(request))


def _answer_for_browser(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code == 302 and (
        bool(getattr(request, "htmx", False))
        or request.headers.get("Accept", "").startswith(FRAGMENT_TYPES)
    ):
        login = resolve_url(settings.LOGIN_URL)
        if urlsplit(response.headers["Location"]).path == login:
            return _sign_in_answer(request, login)
    is_page = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    if response.status_code == 405 and is_page and not is_api_request(request):
        return HttpResponseRedirect(_page_above(request.path))
    return response


def _sign_in_answer(request: HttpRequest, login: str) -> HttpResponse:
    """401 that htmx follows to the login page, which leads back to the page that was open."""
    page = request.headers.get("HX-Current-URL", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()})
    target = f"{login}?{urlencode({'next': urlsplit(page).path})}" if page and is_ours else login
    return HttpResponse(status=401, headers={"HX-Redirect": target, "Cache-Control": "no-store"})


def _page_above(path: str) -> str:
    """The nearest address above this one that has a page."""
    parts = path.strip("/").split("/")
    while len(parts) > 1:
        parts.pop()
        above = f"/{'/'.join(parts)}/"
        try:
            resolve(above)
        except Resolver404:
            continue
        return above
    return "/"


class CompressionMiddleware(GZipMiddleware):
    """gzip for whole answers; streams stay as they are, for an event must not wait in a buffer."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if response.streaming:
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
