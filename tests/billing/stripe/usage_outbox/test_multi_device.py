"""Several devices: heartbeats, ledger, daily totals, refunds and Stripe's units are one truth."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import Sum
from django.utils.timezone import now

from billing.budgets.budget import lock_budget
from billing.metering import runs
from billing.metering.cost_summary import load_cost_summary
from billing.models import (
    Budget,
    LedgerEntry,
    MeteredRun,
    MeterProgress,
    RunEndReason,
    StripeOutbox,
    UsageDay,
)
from billing.money import amount_micro
from billing.months import this_month
from billing.statements.invoices import build_content
from billing.statements.statement import build_statement
from billing.stripe import usage_outbox

SOURCE = "training-job:multi"
NANO = 700_000  # Of the "gpu" that the first migration prices.


def open_run(team, devices):
    with transaction.atomic():
        run = runs.open_run(team, SOURCE, "gpu", devices)
    MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(seconds=50))
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_each_device_is_billed_from_the_heartbeat_to_the_invoice(team, metered, devices):
    metered.trust(team)
    run = open_run(team, devices)
    assert run.rate.nano_per_unit == NANO
    runs.heartbeat(run.pk, run.fence, 4_999)
    runs.heartbeat(run.pk, run.fence, 10_001)
    runs.mark_checkpointed(run.pk, run.fence)
    runs.heartbeat(run.pk, run.fence, 25_500)
    runs.end_run(run.pk, RunEndReason.FAILED)
    usage_outbox.report_usage(team.pk)
    assert metered.billed("gpu") == 25_500 * devices // 1000

    lost = runs.refund_lost_work(run.pk, "The worker fell silent.")
    charged, kept = amount_micro(25_500 * devices, NANO), amount_micro(10_001 * devices, NANO)
    assert lost == charged - kept
    usage_outbox.report_usage(team.pk)

    assert LedgerEntry.objects.filter(team=team).total_micro() == kept
    assert Budget.objects.get(team=team).spent_micro == kept
    assert Budget.objects.get(team=team).reserved_micro == 0
    days = UsageDay.objects.filter(team=team).aggregate(
        ms=Sum("device_ms"), micro=Sum("amount_micro")
    )
    assert (days["ms"], days["micro"]) == (25_500 * devices, charged)
    summary = load_cost_summary(SOURCE)
    assert (summary.device_ms, summary.net_micro) == (25_500 * devices, kept)
    assert build_statement(team, this_month()).total_micro == kept
    assert build_content(team, this_month()).total_micro == kept

    progress = MeterProgress.objects.get(team=team, meter="gpu")
    assert progress.used == 25_500 * devices  # What is given back is credit at Stripe.
    assert metered.billed("gpu") == progress.reported == 25_500 * devices // 1000
    reported = StripeOutbox.objects.filter(team=team).aggregate(micro=Sum("amount_micro"))["micro"]
    assert reported + progress.carried_micro == charged


@pytest.mark.parametrize("devices", [2, 8])
def test_the_cap_holds_for_all_devices_together(team, devices):
    cap = amount_micro(30_000 * devices, NANO)
    with transaction.atomic():
        lock_budget(team.pk)
        Budget.objects.filter(team=team).update(cap_micro=cap)
    run = open_run(team, devices)
    budget = Budget.objects.get(team=team)
    assert budget.reserved_micro <= cap
    decision = runs.heartbeat(run.pk, run.fence, 29_999).decision
    assert decision in {runs.LeaseDecision.CONTINUE, runs.LeaseDecision.CAP_REACHED}
    runs.heartbeat(run.pk, run.fence, 49_000)
    run.refresh_from_db()
    budget.refresh_from_db()
    assert run.billed_ms <= 30_000
    assert budget.spent_micro + budget.reserved_micro <= cap
