"""Which sender does what to which row: claims, and what came of them.

A claim is written down, with the time of the call it precedes, before Stripe is called: a sender
that is killed in between leaves a row that says "tried, outcome unknown". No transaction is open
during the call. Stripe allows one call at a time per customer and meter: so does a claim, which
runs out by itself long after every timeout of the call has passed.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.timezone import now

from billing.models import StripeOutbox

Status, Via = StripeOutbox.Status, StripeOutbox.Via

CLAIM = timedelta(minutes=4)  # Stripe's client gives up after 1.5 minutes, its retries included.
LOOKS = 50  # Due rows looked at per claim; others may take them at the same moment.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=30)


@dataclass(frozen=True)
class Claim:
    """The right to call Stripe about one row until `row.claimed_until`, and how it stood before."""

    row: StripeOutbox
    was_unknown: bool  # An earlier call may have had its effect.
    first_try_at: datetime | None  # As they were before this claim.
    last_try_at: datetime | None


def claim(team_id: UUID | None = None) -> Claim | None:
    """Claim the next due row; None when there is none that is not another sender's."""
    calling = StripeOutbox.objects.filter(
        team_id=OuterRef("team_id"), meter=OuterRef("meter"), claimed_until__gt=now()
    )
    due = StripeOutbox.objects.due(now()).filter(~Exists(calling))
    if team_id is not None:
        due = due.filter(team_id=team_id)
    for pk in due.order_by("next_at", "pk").values_list("pk", flat=True)[:LOOKS]:
        if claimed := _claim_row(pk):
            return claimed
    return None


@transaction.atomic
def _claim_row(pk: int) -> Claim | None:
    """None when another sender is quicker or calls about the same team and meter."""
    moment = now()
    rows = StripeOutbox.objects.due(moment).select_for_update(skip_locked=True)
    row = rows.filter(pk=pk).first()
    if row is None or not _lock_meter(row) or _is_calling(row, moment):
        return None
    held = Claim(row, row.status == Status.UNKNOWN, row.first_try_at, row.last_try_at)
    row.status = Status.UNKNOWN
    row.first_try_at = row.first_try_at or moment
    row.last_try_at, row.claimed_until = moment, moment + CLAIM
    row.next_at = row.claimed_until
    row.tries += 1
    row.save()
    return held


def _lock_meter(row: StripeOutbox) -> bool:
    """Of senders claiming in this instant, one per team and meter; held until the commit."""
    with connection.cursor() as cursor:
        name = f"outbox:{row.team_id}:{row.meter}"
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        got: bool = cursor.fetchone()[0]
    return got


def _is_calling(row: StripeOutbox, moment: datetime) -> bool:
    siblings = StripeOutbox.objects.filter(team_id=row.team_id, meter=row.meter)
    return siblings.filter(claimed_until__gt=moment).exclude(pk=row.pk).exists()


def delivered(held: Claim, reference: str = "") -> None:
    """Stripe has it."""
    _mark(held, status=Status.SENT, sent_at=now(), reference=reference, last_error="")


def perhaps(held: Claim, error: str, *, new_key: bool) -> None:
    """The call may have had its effect or not: try again, under a new key if asked."""
    gen = held.row.gen + (1 if new_key else 0)
    _mark(held, gen=gen, next_at=_later(held), last_error=error)


def not_yet(held: Claim, error: str, *, at: datetime | None = None) -> None:
    """This call certainly had no effect: the row stands as before it, and is tried later."""
    _mark(held, **_as_before(held), next_at=at or _later(held), last_error=error)


def refused(held: Claim, error: str) -> None:
    """Stripe will never take it as it is: kept for people to look at."""
    _mark(held, **(_as_before(held) | {"status": Status.DEAD}), last_error=error)


def absent(held: Claim) -> None:
    """No earlier call had its effect: the row is as good as new, with a key of its own.

    After an operator's doubt the identifier is new, too: Stripe still remembers the one of an
    event that it accepted and then lost.
    """
    row = held.row
    copy = row.copy + (1 if row.must_ask else 0)
    _mark(
        held, status=Status.PENDING, first_try_at=None, gen=row.gen + 1, copy=copy,
        must_ask=False, next_at=now(), last_error="",
    )  # fmt: skip


def turn_into_item(held: Claim) -> Claim:
    """From now on the row is a line of the next invoice; no event of it exists at Stripe."""
    _own(held).update(via=Via.ITEM)
    held.row.via = Via.ITEM
    return replace(held, was_unknown=False)


def _as_before(held: Claim) -> dict[str, Any]:
    return {
        "status": Status.UNKNOWN if held.was_unknown else Status.PENDING,
        "first_try_at": held.first_try_at,
        "last_try_at": held.last_try_at,
    }


def _own(held: Claim) -> QuerySet[StripeOutbox]:
    """The row, unless the claim ran out and another sender took it over."""
    return StripeOutbox.objects.filter(
        pk=held.row.pk, tries=held.row.tries, claimed_until=held.row.claimed_until
    )


def _mark(held: Claim, **facts: Any) -> None:
    _own(held).update(claimed_until=None, **facts)


def _later(held: Claim) -> datetime:
    """Exponential, with jitter, so that many rows do not come back at once."""
    doubled = FIRST_PAUSE * (1 << min(held.row.tries - 1, 10))
    pause: timedelta = min(doubled, LONGEST_PAUSE)
    return now() + random.uniform(0.5, 1.0) * pause
