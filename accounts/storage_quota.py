"""How much a team keeps in storage, and how much it may keep.

The apps register what they store for a team; billing registers what its plan allows. So a quota is
checked where bytes come in, below the app that knows plans.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.template.defaultfilters import filesizeformat

from accounts.models import Team
from web.advisory_lock import advisory_lock_in_transaction
from web.errors import UserError

# Rows of one team and their field of bytes; a kind may lie in several tables.
BytesOf = Callable[[Team], Sequence[tuple[QuerySet[Any, Any], str]]]
_uses: dict[str, BytesOf] = {}
_quotas: list[Callable[[Team], int | None]] = []


class StorageFull(UserError):
    code, status = "storage_full", 409


@dataclass(frozen=True)
class StorageUsage:
    """Bytes by kind of what is kept, and the quota (None: no limit)."""

    by_kind: dict[str, int]
    quota_bytes: int | None

    @property
    def used_bytes(self) -> int:
        return sum(self.by_kind.values())

    @property
    def share(self) -> float:
        """Of the quota; 0 without one."""
        return self.used_bytes / self.quota_bytes if self.quota_bytes else 0.0


def register_use(kind: str, bytes_of: BytesOf) -> None:
    """A kind of stored things, such as "datasets"."""
    _uses[kind] = bytes_of


def register_quota(quota_of: Callable[[Team], int | None]) -> None:
    """What a team may keep; of several the smallest counts."""
    _quotas.append(quota_of)


def storage_usage(team: Team) -> StorageUsage:
    """What the team keeps now."""
    quotas = [quota for quota_of in _quotas if (quota := quota_of(team)) is not None]
    return StorageUsage(_bytes_by_kind(team), min(quotas, default=None))


def _bytes_by_kind(team: Team) -> dict[str, int]:
    """In one query: a page asks for it."""
    sums = [
        (kind, _sum_of(rows, field))
        for kind, bytes_of in _uses.items()
        for rows, field in bytes_of(team)
    ]
    totals = Team.objects.filter(pk=team.pk).values_list(*(one for _, one in sums)).get()
    by_kind = dict.fromkeys(_uses, 0)
    for (kind, _), total in zip(sums, totals, strict=True):
        by_kind[kind] += total
    return by_kind


def _sum_of(rows: QuerySet[Any, Any], field: str) -> Coalesce:
    everything = rows.order_by().annotate(whole=Value(1)).values("whole")
    total = everything.annotate(total=Sum(field)).values("total")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), 0)


def require_room(team: Team, more_bytes: int) -> None:
    """Raises StorageFull when the team may not keep so much more.

    Call in the transaction that records the bytes: the lock that it holds until then lets uploads
    of one moment count each other.
    """
    advisory_lock_in_transaction(f"storage:{team.pk}")
    usage = storage_usage(team)
    if usage.quota_bytes is not None and usage.used_bytes + more_bytes > usage.quota_bytes:
        raise StorageFull(
            f"{team} keeps {filesizeformat(usage.used_bytes)} of the"
            f" {filesizeformat(usage.quota_bytes)} of its plan, so"
            f" {filesizeformat(more_bytes)} more do not fit. Choose a larger plan on the"
            " page Plan & payment, or ask whoever runs this installation for more.",
            param="file",
        )
