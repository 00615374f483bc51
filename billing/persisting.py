"""Making one thing at Stripe although calls fail before or after their effect."""

from collections.abc import Callable
from typing import TypeVar

from billing.stripe_errors import StripeBroken

MOST_TRIES = 3
Made = TypeVar("Made")


def make_once(create: Callable[[str], Made], find: Callable[[], Made | None], *, key: str) -> Made:
    """Create under an idempotency key; look whether it was made after all before using another.

    Stripe replays a 5xx answer under its key for a day, although the thing may exist.
    """
    for generation in range(MOST_TRIES):
        try:
            return create(f"{key}:{generation}")
        except StripeBroken:
            if (found := find()) is not None:
                return found
    raise StripeBroken
