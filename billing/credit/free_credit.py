"""Free credit to try the product with: once for a person, who may then own several teams.

Instead of letting teams without a card use first and pay later. settings.FREE_CREDIT_MICRO.
"""

from django.conf import settings
from django.db import transaction

from accounts.models import Role, User
from billing.credit import grants
from billing.models import CreditGrant

PRIORITY = 20  # Used before credit that was paid for.


@transaction.atomic
def grant_free_credit(user: User) -> CreditGrant | None:
    """Give the first team that the person owns free credit, unless it was given before.

    Where addresses must be confirmed, only once theirs is: addresses are what strangers have many
    of. None when there is nothing to give.
    """
    is_known = user.has_confirmed_email or not settings.REQUIRE_VERIFIED_EMAIL
    source = f"free:{user.pk}"
    if not settings.FREE_CREDIT_MICRO or not is_known:
        return None
    if CreditGrant.objects.filter(source=source).exists():
        return None
    owned = user.memberships.filter(role=Role.OWNER).select_related("team").order_by("joined_at")
    first = owned.first()
    if first is None:
        return None
    return grants.grant(
        first.team,
        settings.FREE_CREDIT_MICRO,
        kind="promo",
        source=source,
        note="Free credit to begin with",
        priority=PRIORITY,
    )
