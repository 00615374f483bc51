"""How many API requests one token may make."""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import ApiToken
from web.rate_limits.counter import TooManyRequests, count

if TYPE_CHECKING:  # DRF imports this module while its own views are still loading.
    from rest_framework.views import APIView

WINDOW_SECONDS = 60


class ApiTokenThrottle(BaseThrottle):
    """At most API_REQUESTS_PER_MINUTE requests of a token in each minute of the clock."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """True, or raises TooManyRequests, which says what DRF's own refusal does not."""
        if not isinstance(request.auth, ApiToken):
            return True
        limit = settings.API_REQUESTS_PER_MINUTE
        usage = count(f"api-requests:{request.auth.pk}", limit, WINDOW_SECONDS)
        if limit and usage.used > usage.limit:
            raise TooManyRequests(
                f"This API token may send {limit:,} requests a minute and has sent them."
                f" Try again in {usage.reset_seconds} seconds.",
                usage,
            )
        return True
