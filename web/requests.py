"""The types of a request behind our middleware and `login_required`."""

from typing import TYPE_CHECKING

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

if TYPE_CHECKING:
    from django.contrib.auth.models import _User  # AUTH_USER_MODEL's class, to mypy.


class HtmxRequest(HttpRequest):
    """A request behind HtmxMiddleware. `htmx` is truthy when htmx asked."""

    htmx: HtmxDetails


class AuthenticatedRequest(HtmxRequest):
    """A request behind `login_required`: its user is signed in."""

    user: "_User"
