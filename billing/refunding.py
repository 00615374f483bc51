"""Refunds by hand: a run or job, wholly or partly, with a reason, each request once."""

from uuid import UUID

from django.db import transaction

from billing import budget as budgets
from billing.booking import Fact
from billing.metering import give_back, lock_run, unrefunded_micro
from billing.models import LedgerEntry, MeteredRun
from web.errors import UserError


class BadRefund(UserError):
    code, status = "bad_refund", 400


@transaction.atomic
def refund_part(
    source: str,
    note: str,
    *,
    request_id: UUID,
    amount_micro: int | None = None,
    fence: int | None = None,
) -> int:
    """Give back an amount of what a source was charged, all of it for None; newest run first.

    `fence` narrows it to one run. Returns micro-USD, 0 when this request was booked before.

    The same request counts once. Raises BadRefund when so much was not charged, or no reason.
    """
    if not note.strip():
        raise BadRefund("A refund needs a reason that the customer will read.", param="note")
    one = {} if fence is None else {"fence": fence}
    runs = list(MeteredRun.objects.filter(source=source, **one).order_by("-fence"))
    if not runs:
        raise BadRefund(f"Nothing was ever metered for {source!r}.", param="source")
    budgets.lock(runs[0].team_id)
    if LedgerEntry.objects.filter(source__in=[_part(run, request_id) for run in runs]).exists():
        return 0
    possible = sum(max(0, unrefunded_micro(run)) for run in runs)
    rest = possible if amount_micro is None else amount_micro
    if not 0 < rest <= possible:
        raise BadRefund(
            f"Between 1 and {possible} micro-USD of {source} can be given back.", param="amount"
        )
    for run in runs:
        rest -= _refund_some(run.pk, rest, request_id, note.strip())
    return possible if amount_micro is None else amount_micro


def _part(run: MeteredRun, request_id: UUID) -> str:
    return f"refund:run:{run.pk}:{request_id}"


def _refund_some(run_id: UUID, most: int, request_id: UUID, note: str) -> int:
    run, budget = lock_run(run_id)
    return give_back(
        run,
        budget,
        min(most, unrefunded_micro(run)),
        Fact(source=_part(run, request_id), note=note),
    )
