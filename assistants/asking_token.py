"""The API token that asks an assistant: its limits hold here as where it asks a model."""

from contextvars import ContextVar

from django.db.models import BigIntegerField, Count, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import ApiToken
from assistants.errors import ModelNotAllowed, TokenBudgetSpent
from assistants.gateway import PREFIX
from assistants.models import Decision
from billing.models import Rate
from billing.money import plain_dollars, units_micro
from billing.months import this_month
from billing.pricing import ANSWERS_SKU
from billing.statements.statement import daily_charges
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
    if budget is not None and _spent_micro(token) >= budget:
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


def _spent_micro(token: ApiToken) -> int:
    """What the token cost this month, with answers that are on the bill within a minute only."""
    posted = daily_charges(token.team, this_month()).filter(token_prefix=token.prefix)
    answers = Decision.objects.filter(
        is_counted=False,
        route__in=Decision.ANSWERED,
        token_prefix=token.prefix,
        message__channel__assistant__team=token.team_id,
    )
    sums = [
        Coalesce(Subquery(rows.values("n"), output_field=BigIntegerField()), 0)
        for rows in (
            posted.order_by().values("token_prefix").annotate(n=Sum("amount_micro")),
            answers.order_by().values("token_prefix").annotate(n=Count("pk")),
        )
    ]
    rates = Rate.objects.in_force().filter(sku=ANSWERS_SKU)
    # In one query: whoever asks waits for it.
    nano, micro, count = rates.values_list("nano_per_unit", *sums).get()
    return int(micro) + units_micro(count, nano)
