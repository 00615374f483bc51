"""The type of a request that htmx may have sent."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request behind HtmxMiddleware. `htmx` is truthy when htmx asked."""

    htmx: HtmxDetails
