"""Reading a team's service from the subscription that Stripe last told us of."""

from uuid import UUID

from billing.models import Meter, Rate, Subscription
from billing.outbox.service import Service

NEVER_BEGAN = "incomplete_expired"  # Its first payment never came.


def service_of(team_id: UUID) -> Service | None:
    """Of a team that has, or had, a subscription; None for the rest."""
    row = Subscription.objects.filter(team_id=team_id).first()
    if row is None or row.status == NEVER_BEGAN:
        return None
    skus = Rate.objects.filter(stripe_price_id__in=list(row.metered_items)).values("sku")
    meters = Meter.objects.filter(sku__in=skus)
    return Service(
        subscription=row.stripe_id,
        customer=row.customer_id,
        started_at=row.created_at,
        period_start=row.period_start,
        period_end=row.period_end,
        ended_at=row.ended_at,
        event_names=dict(meters.values_list("sku", "event_name")),
        is_decided=row.status != "incomplete",
    )
