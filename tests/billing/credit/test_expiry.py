"""Credit expires once, whichever machine's clock is the first to say so."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now

from billing.budgets.budget import lock_budget
from billing.credit import application, grants
from billing.ledger.posting import post_entry
from billing.models import CreditBurn, LedgerEntry

GRANTED = 100


@pytest.fixture
def credit(team):
    expires_at = now() + timedelta(hours=1)
    return grants.grant(
        team, GRANTED, kind="promo", source="test:1", note="Welcome", expires_at=expires_at
    )


@pytest.fixture
def clock(monkeypatch):
    def turn_to(moment):
        for module in (application, grants):
            monkeypatch.setattr(module, "now", lambda: moment)

    return turn_to


def charge(team, micro, source):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        entry = LedgerEntry(kind=LedgerEntry.Kind.COMPUTE, amount_micro=micro, source=source)
        post_entry(budget, entry)
        budget.save(update_fields=["spent_micro"])
    return entry


def covered(entry):
    return entry.burns.all().total_micro()


def test_what_a_fast_machine_expired_no_slow_one_uses(team, credit, clock):
    clock(credit.expires_at + timedelta(seconds=1))
    assert grants.expire_due() == 1
    clock(credit.expires_at - timedelta(seconds=5))
    assert covered(charge(team, 60, "segment:1")) == 0
    assert grants.credit_balance_micro(team) == 0
    clock(credit.expires_at + timedelta(seconds=2))
    assert grants.expire_due() == 0
    expired = LedgerEntry.objects.get(kind=LedgerEntry.Kind.EXPIRY)
    assert (expired.amount_micro, expired.occurred_at) == (GRANTED, credit.expires_at)


def test_what_a_slow_machine_used_late_is_not_expired_as_well(team, credit, clock):
    clock(credit.expires_at - timedelta(seconds=5))  # By the others' clocks it has expired.
    assert covered(charge(team, 60, "segment:1")) == 60
    clock(credit.expires_at)
    assert grants.expire_due() == 1
    assert CreditBurn.objects.filter(grant=credit).total_micro() == GRANTED
    assert LedgerEntry.objects.get(kind=LedgerEntry.Kind.EXPIRY).amount_micro == GRANTED - 60
    credit.refresh_from_db()
    assert credit.left_micro == 0


def test_credit_is_gone_at_the_very_moment_of_its_end(team, credit, clock):
    clock(credit.expires_at)
    assert covered(charge(team, 60, "segment:1")) == 0
    assert grants.credit_balance_micro(team) == 0
