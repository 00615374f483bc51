"""Expensive actions, each with a limit by the hour of its own: settings.RATE_LIMITS.

Called by the verbs, so that pages and the API share one count.
"""

import math

from django.conf import settings

from web.rate_limits.counter import TooManyRequests, count

HOUR_SECONDS = 3600
# In the sentence: "… has made 20 webhook tests".
NOUNS = {
    "uploads": "uploads",
    "launches": "launches of fine-tunes",
    "analyses": "questions about models",
    "exports": "exports of models",
    "webhook_tests": "webhook tests",
    "invitations": "invitations",
    "tokens": "API tokens",
    "teams": "teams",
    "signups": "sign-ups",
}


def require_rate(action: str, owner: object, *, who: str = "This team") -> None:
    """Count the action for its owner. Raises TooManyRequests beyond the limit of the hour."""
    limit = settings.RATE_LIMITS[action]
    usage = count(f"{action}:{owner}", limit, HOUR_SECONDS)
    if limit and usage.used > usage.limit:
        minutes = math.ceil(usage.reset_seconds / 60)
        wait = f"{minutes} minutes" if minutes > 1 else "a minute"
        raise TooManyRequests(
            f"{who} may make {limit:,} {NOUNS[action]} an hour and has made them."
            f" Try again in {wait}.",
            usage,
        )
