"""Our credit as Stripe's own credit grants, so that Stripe's invoices take it off metered lines.

Our ledger is the truth; a grant at Stripe follows it and names our source.
"""

from django.utils.timezone import now

from accounts.models import Team
from billing import stripe_gateway as gateway
from billing.alerts import alert
from billing.models import StripeCustomer, TopUp
from billing.persisting import make_once
from billing.stripe_errors import StripeRefused
from billing.stripe_facts import GrantFacts
from billing.subscribing import customer_of


def mirror_top_up(row: TopUp) -> None:
    """Tell Stripe of the credit, so that its invoices take it off. Once, whatever fails."""
    if row.status != TopUp.Status.PAID or row.stripe_grant_id:
        return
    grant_id = ensure_stripe_grant(
        row.team,
        row.amount_cents,
        name=f"Top-up of {row.paid_at:%Y-%m-%d}",
        source=row.source,
        category="paid",
    )
    TopUp.objects.filter(pk=row.pk).update(stripe_grant_id=grant_id)


def ensure_stripe_grant(
    team: Team, amount_cents: int, *, name: str, source: str, category: str, expires_at: int = 0
) -> str:
    """The id of Stripe's own grant for this source; made when there is none. Repeatable.

    It is looked for first: a call whose answer was lost may have made it under a key that Stripe
    has forgotten or whose failure it replays.
    """
    customer = customer_of(team)

    def find_made() -> GrantFacts | None:
        granted = gateway.credit_grants(customer)
        return next((one for one in granted if one.metadata.get("source") == source), None)

    params = {
        "customer": customer,
        "name": name,
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": amount_cents}},
        "applicability_config": {"scope": {"price_type": "metered"}},
        "category": category,
        "metadata": {"source": source, "team": str(team.pk)},
        **({"expires_at": expires_at} if expires_at else {}),
    }
    made = find_made() or make_once(
        lambda key: gateway.create_credit_grant(params, key=key), find_made, key=f"grant:{source}"
    )
    return made.id


def withdraw(team: Team, source: str) -> None:
    """Undo at Stripe every grant that this payment led to. Repeatable."""
    for grant in _open_grants(team, source):
        _withdraw(team, grant.id, source)


def shrink(team: Team, source: str, cents: int, *, cause: str) -> None:
    """Take cents off what Stripe has left of this payment, once per cause. Repeatable.

    No grant can be reduced, so one for the rest takes its place. That is made first: whatever
    fails in between, a repetition finds it and only withdraws the others.
    """
    rest = f"{source}:rest:{cause}"
    before = [one for one in _open_grants(team, source) if one.metadata["source"] != rest]
    if not before:
        return
    customer = before[0].customer
    left = sum(gateway.grant_balance_cents(customer, one.id) for one in before) - cents
    if left > 0:
        name = f"Rest after {cause}"[:100]
        ensure_stripe_grant(team, left, name=name, source=rest, category="paid")
    for grant in before:
        _withdraw(team, grant.id, source)


def _open_grants(team: Team, source: str) -> list[GrantFacts]:
    """What this source and its successors ("source:…") still have at Stripe."""
    moment = now()
    return [
        one
        for one in gateway.credit_grants(customer_of(team))
        if f"{one.metadata.get('source', '')}:".startswith(f"{source}:")
        and not one.is_void
        and (one.expires_at is None or one.expires_at > moment)
    ]


def _withdraw(team: Team, grant_id: str, source: str) -> None:
    """Void it, or end what an invoice has left of it."""
    try:
        gateway.void_credit_grant(grant_id)
    except StripeRefused:
        _expire(team, grant_id, source)


def _expire(team: Team, grant_id: str, source: str) -> None:
    try:
        gateway.expire_credit_grant(grant_id)
    except StripeRefused as refused:
        alert(
            f"credit-grant:{grant_id}",
            f"The credit of {source} was taken back from {team.name}, but Stripe still counts its "
            f"grant {grant_id} ({refused.reason}). Take it back in Stripe's dashboard.",
        )


def read_balance(customer_id: str) -> None:
    """Note what Stripe says is left of a customer's grants."""
    cents, moment = gateway.credit_balance_cents(customer_id), now()
    StripeCustomer.objects.filter(customer_id=customer_id).update(
        credit_cents=cents, credit_read_at=moment
    )
