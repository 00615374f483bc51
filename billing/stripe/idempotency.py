"""Opening a page at Stripe once although calls fail before or after their effect."""

from collections.abc import Callable

from billing.models import StripeCustomer, TopUp
from billing.stripe.dtos import StripeCheckoutSessionData
from billing.stripe.errors import (
    StripeFailure,
    StripeRateLimited,
    StripeServerError,
    StripeUnreachable,
)


def create_page(
    row: StripeCustomer | TopUp,
    field: str,
    create: Callable[[int], StripeCheckoutSessionData],
    **facts: object,
) -> StripeCheckoutSessionData:
    """Create a page at Stripe under a key with the number of the row's pages; store its id.

    Two clicks at once use one number and get one page. Stripe repeats its answers for a day, a
    page that has expired and failures too, so each answer raises the number. After a failure of
    Stripe's own it is tried once more.
    """
    rows = type(row)._default_manager.filter(pk=row.pk)
    for number in (row.checkouts, row.checkouts + 1):
        try:
            made = create(number)
        except (StripeUnreachable, StripeRateLimited):  # Nothing was answered, so nothing is kept.
            raise
        except StripeFailure as failure:
            rows.filter(checkouts=number).update(checkouts=number + 1)
            if not isinstance(failure, StripeServerError):
                raise
        else:
            rows.filter(checkouts=number).update(checkouts=number + 1, **{field: made.id}, **facts)
            return made
    raise StripeServerError
