"""What an assistant has spent on models, and whether it may go on today."""

from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import F, Sum
from django.utils.timezone import now

from assistants.models import Assistant, Decision
from billing.models import LedgerEntry

SPENT_CACHE_SECONDS = 10


def spent_micro(assistant: Assistant, since: datetime, until: datetime) -> int:
    """The ledger's sum for this assistant, and what its writer's own provider asks."""
    rows = LedgerEntry.objects.filter(
        team=assistant.team_id,
        about=assistant.source,
        occurred_at__gte=since,
        occurred_at__lt=until,
    )
    billed = int(rows.aggregate(sum=Sum(F("amount_micro")))["sum"] or 0)
    written = Decision.objects.filter(
        message__channel__assistant=assistant, cost_micro__gt=0, at__gte=since, at__lt=until
    )
    return billed + int(written.aggregate(sum=Sum("cost_micro"))["sum"] or 0)


def is_daily_budget_spent(assistant: Assistant) -> bool:
    """Of this UTC day; at most SPENT_CACHE_SECONDS old."""
    if assistant.daily_budget_micro is None:
        return False
    moment = now()
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    spent = cache.get_or_set(
        f"assistants:spent:{assistant.pk}:{midnight:%Y%m%d}",
        lambda: spent_micro(assistant, midnight, midnight + timedelta(days=1)),
        SPENT_CACHE_SECONDS,
    )
    return int(spent or 0) >= assistant.daily_budget_micro
