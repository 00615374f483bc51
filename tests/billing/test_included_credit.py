"""The credit that plans include, month by month, where there is no Stripe."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from billing import budget, credits, included_credit
from billing.models import Budget, CreditGrant, Plan
from billing.months import this_month

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000


@pytest.fixture
def entitled(team, settings):
    settings.STRIPE_SECRET_KEY = ""
    Plan.objects.filter(code="team").update(included_micro=20 * DOLLAR)
    budget.of(team)
    Budget.objects.filter(team=team).update(plan="team")
    return team


def test_a_month_brings_its_credit_once_and_takes_it_with_it(entitled):
    assert [included_credit.grant_due() for _ in range(3)] == [1, 0, 0]
    grant = CreditGrant.objects.get()
    assert (grant.granted_micro, grant.kind) == (20 * DOLLAR, "promo")
    assert grant.expires_at == this_month().end


def test_the_next_month_brings_it_again(entitled, monkeypatch):
    included_credit.grant_due()
    next_month = type(this_month())(this_month().end)
    monkeypatch.setattr(included_credit, "this_month", lambda: next_month)
    assert included_credit.grant_due() == 1
    assert credits.balance(entitled) == 40 * DOLLAR


def test_it_is_used_before_credit_that_lasts_longer(entitled):
    soon = now() + timedelta(days=400)
    credits.grant(entitled, DOLLAR, kind="promo", source="a", note="A gift", expires_at=soon)
    credits.grant(entitled, DOLLAR, kind="paid", source="b", note="Bought")
    included_credit.grant_due()
    first = CreditGrant.objects.filter(team=entitled).in_burn_order().first()
    assert first.note == "Included in the Team plan"


def test_a_plan_changed_within_the_month_changes_the_next_ones_credit(entitled):
    included_credit.grant_due()
    Plan.objects.filter(code="team").update(included_micro=50 * DOLLAR)
    assert included_credit.grant_due() == 0
    assert credits.balance(entitled) == 20 * DOLLAR


def test_with_stripe_only_a_paid_invoice_brings_it(entitled, settings):
    settings.STRIPE_SECRET_KEY = "sk_test_x"
    assert included_credit.grant_due() == 0


def test_a_plan_without_credit_brings_none(entitled, other_team):
    budget.of(other_team)
    assert included_credit.grant_due() == 1
    assert not CreditGrant.objects.filter(team=other_team).exists()
