"""Refunds by hand: a run or job, wholly or partly, with a reason, each request once."""

from uuid import UUID

from django.db import transaction

from billing.budgets.budget import lock_budget
from billing.ledger.posting import PostingDetails
from billing.metering.runs import lock_run, post_refund, unrefunded_micro
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
    runs = list(MeteredRun.objects.filter(source=source).order_by("-fence"))
    if fence is not None:
        runs = [run for run in runs if run.fence == fence]
    if not runs:
        raise BadRefund(f"Nothing was ever metered for {source!r}.", param="source")
    lock_budget(runs[0].team_id)
    if LedgerEntry.objects.filter(
        source__in=[_refund_source(run, request_id) for run in runs]
    ).exists():
        return 0
    possible = sum(max(0, unrefunded_micro(run)) for run in runs)
    rest = possible if amount_micro is None else amount_micro
    if not 0 < rest <= possible:
        raise BadRefund(
            f"Between 1 and {possible} micro-USD of {source} can be given back.", param="amount"
        )
    for run in runs:
        locked, budget = lock_run(run.pk)
        details = PostingDetails(source=_refund_source(run, request_id), note=note.strip())
        rest -= post_refund(locked, budget, min(rest, unrefunded_micro(locked)), details)
    return possible if amount_micro is None else amount_micro


def _refund_source(run: MeteredRun, request_id: UUID) -> str:
    return f"refund:run:{run.pk}:{request_id}"
