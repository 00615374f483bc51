"""Entries and the budget's month agree, whatever the clocks of the machines say."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now

from billing import months
from billing.budgets.budget import get_budget, lock_budget, roll_over
from billing.ledger import posting
from billing.ledger.posting import post_entry
from billing.metering import runs
from billing.metering.usage_events import UsageRecord, record_usage
from billing.models import Budget, LedgerEntry, UsageEvent
from billing.months import this_month
from billing.statements import invoices
from billing.statements.statement import month_total

COMPUTE = LedgerEntry.Kind.COMPUTE


@pytest.fixture
def clock(monkeypatch):
    """Set this machine's clock, which the database's does not follow."""

    def turn_to(moment):
        for module in (months, posting, invoices):
            monkeypatch.setattr(module, "now", lambda: moment)

    return turn_to


def post(team, micro, source, **details):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        entry = LedgerEntry(kind=COMPUTE, amount_micro=micro, source=source, **details)
        post_entry(budget, entry)
        budget.save(update_fields=["spent_micro"])
    return entry


def assert_budget_counts_its_month(team):
    budget = Budget.objects.get(team=team)
    assert budget.spent_micro == month_total(team, months.month_of(budget.period_start))


def test_a_slow_clock_does_not_lose_spending_at_the_turn_of_a_month(team, clock):
    real_month = this_month()
    clock(real_month.start - timedelta(seconds=1))
    with transaction.atomic():
        run = runs.open_run(team, "training-job:1", "cpu")
    run.started_at = now() - timedelta(minutes=1)
    run.save()
    runs.heartbeat(run.pk, run.fence, 20_000)  # Dated by the database's clock: the new month.
    clock(now())
    budget = get_budget(team)
    assert budget.period_start == real_month.start
    assert budget.spent_micro == month_total(team, real_month) == 400
    assert_budget_counts_its_month(team)


def test_a_slow_machine_posts_into_the_month_that_another_has_begun(team, clock):
    post(team, 70, "segment:1")
    clock(this_month().start - timedelta(hours=1))
    entry = post(team, 5, "segment:2")
    assert entry.occurred_at == months.month_of(now()).start
    clock(now())
    assert get_budget(team).spent_micro == month_total(team, this_month()) == 75


def test_a_fast_machine_begins_the_month_for_all(team, clock):
    this, following = this_month(), months.Month(this_month().end)
    clock(following.start + timedelta(seconds=2))
    post(team, 70, "segment:1")
    clock(following.start - timedelta(seconds=3))
    entry = post(team, 5, "segment:2")
    assert entry.occurred_at == following.start
    assert month_total(team, this) == 0
    assert Budget.objects.get(team=team).spent_micro == month_total(team, following) == 75


def test_an_invoice_issued_by_a_fast_machine_still_says_all_of_its_month(team, clock):
    this = this_month()
    post(team, 1_000_000, "segment:1", sku="cpu")
    clock(this.end + timedelta(seconds=1))
    assert invoices.issue_due() == 1
    clock(this.end - timedelta(seconds=5))
    post(team, 500, "segment:2", sku="cpu")  # The month is over for everybody.
    issued, content = invoices.get_invoice(team, this)
    assert issued is not None
    assert content.total_micro == month_total(team, this) == 1_000_000
    clock(this.end + timedelta(seconds=9))
    assert invoices.issue_due() == 0


def test_a_usage_record_from_the_future_counts_now(team):
    ahead = this_month().end + timedelta(days=40)
    record = UsageRecord(
        team_id=team.pk, source="deployment:1", event_key="k", units=10_000, requests=1,
        occurred_at=ahead,
    )  # fmt: skip
    record_usage([record])
    assert UsageEvent.objects.get().occurred_at <= now()
    assert Budget.objects.get(team=team).period_start == this_month().start
    assert_budget_counts_its_month(team)


def test_a_month_that_has_begun_is_never_left_again(team):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        roll_over(budget, this_month().previous)
    assert Budget.objects.get(team=team).period_start == this_month().start
