"""The credit that plans include, month by month, where there is no Stripe."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from billing.budgets import budget
from billing.credit import allowances, grants
from billing.models import Budget, CreditGrant, Plan
from billing.months import this_month

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000


@pytest.fixture
def entitled(team, settings):
    settings.STRIPE_SECRET_KEY = ""
    Plan.objects.filter(code="team").update(included_micro=20 * DOLLAR)
    budget.get_budget(team)
    Budget.objects.filter(team=team).update(plan="team")
    return team


def test_a_month_brings_its_credit_once_and_takes_it_with_it(entitled):
    assert [allowances.grant_plan_allowances() for _ in range(3)] == [1, 0, 0]
    grant = CreditGrant.objects.get()
    assert (grant.granted_micro, grant.kind) == (20 * DOLLAR, "promo")
    assert grant.expires_at == this_month().end


def test_the_next_month_brings_it_again(entitled, monkeypatch):
    allowances.grant_plan_allowances()
    next_month = type(this_month())(this_month().end)
    monkeypatch.setattr(allowances, "this_month", lambda: next_month)
    assert allowances.grant_plan_allowances() == 1
    assert grants.credit_balance_micro(entitled) == 40 * DOLLAR


def test_it_is_used_before_credit_that_lasts_longer(entitled):
    soon = now() + timedelta(days=400)
    grants.grant(entitled, DOLLAR, kind="promo", source="a", note="A gift", expires_at=soon)
    grants.grant(entitled, DOLLAR, kind="paid", source="b", note="Bought")
    allowances.grant_plan_allowances()
    first = CreditGrant.objects.filter(team=entitled).in_burn_order().first()
    assert first.note == "Included in the Team plan"


def test_a_plan_changed_within_the_month_changes_the_next_ones_credit(entitled):
    allowances.grant_plan_allowances()
    Plan.objects.filter(code="team").update(included_micro=50 * DOLLAR)
    assert allowances.grant_plan_allowances() == 0
    assert grants.credit_balance_micro(entitled) == 20 * DOLLAR


def test_with_stripe_only_a_paid_invoice_brings_it(entitled, settings):
    settings.STRIPE_SECRET_KEY = "sk_test_x"
    assert allowances.grant_plan_allowances() == 0


def test_a_plan_without_credit_brings_none(entitled, other_team):
    budget.get_budget(other_team)
    assert allowances.grant_plan_allowances() == 1
    assert not CreditGrant.objects.filter(team=other_team).exists()
