"""A filled database of the release before keeps its rows and figures."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from billing.budgets.budget import get_budget
from billing.credit import grants
from billing.models import LedgerEntry, Rate, TopUp
from billing.months import this_month
from billing.statements.statement import build_statement

BEFORE, AFTER = [("billing", "0019_plan_storage")], [("billing", "0021_drop_unused_columns")]


def migrate(to: list[tuple[str, str]]) -> None:
    MigrationExecutor(connection).migrate(to)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_older_database_keeps_its_figures_and_learns_what_was_returned(team, alice):
    get_budget(team)
    for number, taken in enumerate((0, 5_000_000, 20_000_000)):
        source = f"topup:pi_{number}"
        grants.grant(team, 20_000_000, kind="paid", source=source, note="Top-up")
        if taken:
            grants.revoke(source, "Refunded", amount_micro=taken, key=f"re_{number}")
        status = "refunded" if taken == 20_000_000 else "paid"
        TopUp.objects.create(
            team=team, amount_cents=2_000, created_by=alice, payment_intent=f"pi_{number}",
            status=status, paid_at="2026-11-01T00:00:00Z",
        )  # fmt: skip
    before = _figures(team)
    try:
        migrate(BEFORE)
    finally:
        migrate(AFTER)
    assert _figures(team) == before
    returned = TopUp.objects.order_by("payment_intent").values_list("returned_cents", flat=True)
    assert list(returned) == [0, 500, 2_000]
    assert Rate.objects.current("adjustments").nano_per_unit == 1_000


def _figures(team) -> tuple[object, ...]:
    statement = build_statement(team, this_month())
    entries = list(LedgerEntry.objects.order_by("pk").values_list("source", "amount_micro"))
    return grants.credit_balance_micro(team), statement.due_micro, statement.credit, entries
