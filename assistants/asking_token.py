"""The API token that asks an assistant: its limits hold here as where it asks a model."""

from contextvars import ContextVar

from accounts.models import ApiToken
from accounts.tokens import spent_this_month
from assistants.errors import ModelNotAllowed, TokenBudgetSpent
from assistants.gateway import PREFIX
from billing.money import plain_dollars
from web.rate_limits.counter import TooManyRequests, count

MINUTE = 60

# Under whose prefix the bill counts what is asked for now; "": under no token's.
asking_prefix: ContextVar[str] = ContextVar("asking_prefix", default="")


def require_allowed(token: ApiToken, assistant: str) -> None:
    """Raises ModelNotAllowed where the token is limited to other models than `assistant:NAME`."""
    name = PREFIX + assistant
    if token.allowed_models and name not in token.allowed_models:
        raise ModelNotAllowed(
            f"This API token may not ask {name[:100]!r}: it is limited to other models.",
            param="model",
        )


def admit_token(token: ApiToken) -> None:
    """Count what costs something against the token's pace; the bill then names the token.

    Raises TokenBudgetSpent or TooManyRequests.
    """
    asking_prefix.set(token.prefix)
    budget = token.budget_micro
    if budget is not None and spent_this_month(token.team).get(token.prefix, 0) >= budget:
        raise TokenBudgetSpent(
            f"This API token has spent its budget of ${plain_dollars(budget)} for this"
            " month. Use another token, or wait for the next month."
        )
    if token.requests_per_minute is not None:
        usage = count(f"token:{token.pk}", token.requests_per_minute, MINUTE)
        if usage.used > usage.limit:
            raise TooManyRequests(
                "This API token sends requests faster than its limit. Slow down and try again.",
                usage,
            )
