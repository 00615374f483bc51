"""Periods that begin on odd days and end as a month turns: both sides say the same to the cent."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from billing.ledger.corrections import refund_part
from billing.models import LedgerEntry, Rate, Reconciliation
from tests.billing.stripe.fake.tale import DOLLAR
from tests.billing.stripe.stories.test_random_stories import RandomTale

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def refund(entry: LedgerEntry, dollars: int) -> None:
    refund_part(entry.about, "Sorry", request_id=uuid.uuid4(), amount_micro=dollars * DOLLAR)


@pytest.mark.parametrize(
    "begin",
    [
        datetime(2024, 1, 31, 23, 50, tzinfo=UTC),  # Of a leap year.
        datetime(2023, 12, 31, 23, 20, tzinfo=UTC),
        datetime(2024, 10, 1, tzinfo=UTC),
    ],
)
def test_periods_of_odd_days_agree(stripe_server, team, alice, monkeypatch, begin):
    for rate in list(Rate.objects.filter(valid__startswith__gt=begin)):
        before = DateTimeTZRange(begin - timedelta(days=1), rate.valid.lower)
        Rate.objects.create(sku=rate.sku, nano_per_unit=rate.nano_per_unit, valid=before)
    tale = RandomTale(stripe_server, team, alice)
    tale.start(monkeypatch, 3, begin)
    for number in range(3):
        entry = tale.use(9)
        tale.pay_top_up(500 if number else 1_000)
        tale.compare()
        tale.use(4)
        refund(entry, 2)
        tale.compare()
        row = tale.in_force()
        tale.report()
        invoice = tale.world.close_period(row.stripe_id)
        tale.deliver()
        tale.pass_time(minutes=35)  # Now the month has turned, and the invoice is a draft.
        tale.pay_top_up(500)
        refund(entry, 3)
        tale.use(2)
        tale.pass_time(minutes=25)
        tale.world.finalize(invoice["id"])
        tale.world.collect(invoice["id"])
        tale.compare()
    assert not Reconciliation.objects.filter(state="open").exists()
