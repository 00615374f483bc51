"""Refuses addresses, cookies and forms that no page could handle, before any page sees them."""

import codecs
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase

from web.front.middleware import SynchronousMiddleware
from web.middleware import is_api_request, render_plain_error
from web.validation.values import UnacceptableValue, require_address, require_form

# Python knows "charsets" such as rot13 and base64, and some that hide what a text says (UTF-7).
CHARSETS = {codecs.lookup(name).name for name in ("utf-8", "ascii", "latin-1", "cp1252")}


class AddressMiddleware(SynchronousMiddleware):
    """Path, query, cookies and charset. Stands before the sessions, which look cookies up."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            charset = request.encoding
            if charset and codecs.lookup(charset).name not in CHARSETS:
                request.encoding = None  # type: ignore[assignment]  # Else nothing of the request could be read to answer it.
                raise UnacceptableValue("Send the body in UTF-8: this charset is not read here.")
            require_address(request.path, request.GET, request.COOKIES.values())
        except UnacceptableValue as refusal:
            return render_plain_error(request, refusal)
        return self.get_response(request)


class FormMiddleware(SynchronousMiddleware):
    """The fields of posted forms. Stands after the CSRF check, which reads them first. Bodies of
    the API are read by `web.validation.parsers`."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, options: Any
    ) -> HttpResponse | None:
        """Django's hook."""
        reads_body = is_api_request(request) or getattr(view, "csrf_exempt", False)
        if request.method != "POST" or reads_body:
            return None
        try:
            require_form(request.POST)
        except UnacceptableValue as refusal:
            return render_plain_error(request, refusal)
        except UnreadablePostError:
            return render_plain_error(request, UnacceptableValue("The form broke off."))
        return None
