"""Database rows as a queue: claim what is due under a lease, retry with growing delays.

A claim counts an attempt and moves the row's due time into the future, in one short transaction.
A worker that dies afterwards leaves a row that is due again once that time has passed, so nothing
is lost and nobody has to notice. Job claims and Stripe's usage outbox need more than this (fairness
between teams, exactly-once delivery) and keep their own.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from django.db import models, transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.timezone import now

Row = TypeVar("Row", bound=models.Model)


def fair_order(rows: QuerySet[Row], owner: str, order: str) -> QuerySet[Row]:
    """These rows so that owners take turns: the first of each by `order`, then the second of each.

    `owner` is a lookup such as "notice__team". However many rows one owner has, the next row of
    another one is as near as if it were alone. Needs a window, so lock the rows by their keys.
    """
    place = Window(RowNumber(), partition_by=F(owner), order_by=order)
    return cast(QuerySet[Row], rows.annotate(place=place).order_by("place", order))


@transaction.atomic
def claim_rows(
    rows: QuerySet[Row], *, limit: int, attempts: str = "attempts", **fields: object
) -> list[Row]:
    """Take up to `limit` of these rows that no other worker is claiming, in their order.

    Adds 1 to the column `attempts` and sets `fields`, usually the time until which the claim
    holds (`next_at=now() + VISIBILITY_TIMEOUT`). Returns the rows as they now are.
    """
    lock = rows.select_for_update(skip_locked=True, of=("self",), no_key=True)
    claimed = list(lock[:limit])
    for row in claimed:
        setattr(row, attempts, getattr(row, attempts) + 1)
        for name, value in fields.items():
            setattr(row, name, value)
    if claimed:
        type(claimed[0])._default_manager.bulk_update(claimed, [attempts, *fields])
    return claimed


def update_claimed(row: models.Model, *, attempts: str = "attempts", **fields: Any) -> bool:
    """Write the outcome of a claimed row; False when another worker has claimed it since."""
    guard = {"pk": row.pk, attempts: getattr(row, attempts)}
    if not type(row)._default_manager.filter(**guard).update(**fields):
        return False
    for name, value in fields.items():
        setattr(row, name, value)
    return True


def retry_at(attempts: int, delays: Sequence[float], *, jitter: float = 0.2) -> datetime:
    """When to try again after this many attempts (from 1 on).

    `delays` are seconds; the last one repeats. `jitter` lengthens the delay by a random share of
    up to this much, so that rows that failed together do not come back together.
    """
    seconds = delays[min(max(attempts, 1), len(delays)) - 1]
    return now() + timedelta(seconds=seconds * random.uniform(1, 1 + jitter))
