"""A team's customer and subscription at Stripe."""

from django.conf import settings
from django.db.models import F

from accounts.models import Team
from billing import stripe_gateway as gateway
from billing.models import StripeCustomer, Subscription
from billing.stripe_errors import StripeBroken


def customer_of(team: Team) -> str:
    """The team's customer id at Stripe, created on first use. Raises a StripeFailure.

    Two callers at once get the same customer: the idempotency key is the team's own.
    """
    row, _ = StripeCustomer.objects.get_or_create(team=team)
    if row.customer_id:
        return row.customer_id
    params = {
        "name": team.name,
        "metadata": {"team": str(team.pk), "installation": settings.PUBLIC_URL[:500]},
    }
    try:
        made = gateway.create_customer(params, key=f"customer:{team.pk}:{row.generation}")
    except StripeBroken:  # Stripe keeps that answer under its key: the next try needs another.
        StripeCustomer.objects.filter(pk=team.pk, generation=row.generation).update(
            generation=F("generation") + 1
        )
        raise
    StripeCustomer.objects.filter(pk=team.pk, customer_id=None).update(customer_id=made.id)
    row.refresh_from_db()
    return row.customer_id or made.id


def team_of(customer_id: str) -> Team | None:
    """Whose customer this is; None for a customer that is none of ours."""
    row = StripeCustomer.objects.filter(customer_id=customer_id).select_related("team").first()
    return row.team if row else None


def active_subscription(team: Team) -> Subscription | None:
    """The team's subscription while its plan counts."""
    rows = Subscription.objects.in_force().filter(team=team)
    return rows.select_related("plan").first()
