"""What our middleware is derived from."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class SynchronousMiddleware(MiddlewareMixin):
    """Runs in the thread of its request; see web.front.threaded_handler."""

    async_capable = False
    get_response: Callable[[HttpRequest], HttpResponseBase]
