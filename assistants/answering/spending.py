"""What an assistant has spent on models, and whether it may go on today."""

from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import BigIntegerField, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from assistants.models import Assistant, Decision
from billing.models import LedgerEntry

SPENT_CACHE_SECONDS = 10


def spent_micro(assistant: Assistant, since: datetime, until: datetime) -> int:
    """What the ledger holds for this assistant, and what its writer's own provider asks."""
    return sum(spent_parts_micro(assistant, since, until))


def spent_parts_micro(assistant: Assistant, since: datetime, until: datetime) -> tuple[int, int]:
    """(the ledger's sum for this assistant, what its writer's own provider asks)."""
    rows = LedgerEntry.objects.filter(
        team=assistant.team_id,
        about=assistant.source,
        occurred_at__gte=since,
        occurred_at__lt=until,
    )
    written = Decision.objects.filter(
        message__channel__assistant=assistant, cost_micro__gt=0, at__gte=since, at__lt=until
    )
    sums = (
        rows.order_by().values("team").annotate(total=Sum("amount_micro")),
        written.order_by().values("message__channel__assistant").annotate(total=Sum("cost_micro")),
    )
    totals = Assistant.objects.filter(pk=assistant.pk).values_list(
        *(
            Coalesce(Subquery(one.values("total"), output_field=BigIntegerField()), 0)
            for one in sums
        )
    )
    ledger, provider = totals.get()  # In one query: the monitor asks for much.
    return int(ledger), int(provider)


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
