"""Credit to begin with, once for each person; and no high cap without a card."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.urls import reverse
from django.utils.timezone import now

from accounts.signup import create_team
from billing.credit.allowances import grant_free_credit
from billing.credit.grants import credit_balance_micro
from billing.models import CreditGrant, Subscription

FIVE_DOLLARS = 5_000_000


@pytest.fixture(autouse=True)
def policy(settings):
    settings.FREE_CREDIT_MICRO = FIVE_DOLLARS
    settings.REQUIRE_VERIFIED_EMAIL = True
    settings.MAX_CAP_WITHOUT_CARD_MICRO = 25_000_000


def test_a_person_gets_it_once_however_many_teams_they_make(alice, team):
    assert grant_free_credit(alice).team_id == team.pk
    second = create_team(alice, "Second")
    assert grant_free_credit(alice) is None
    assert (credit_balance_micro(team), credit_balance_micro(second)) == (FIVE_DOLLARS, 0)


def test_only_once_the_address_is_confirmed(alice, team):
    EmailAddress.objects.update(verified=False)
    assert grant_free_credit(alice) is None
    address = EmailAddress.objects.get(user=alice)
    address.verified = True
    address.save()
    for _ in range(2):
        email_confirmed.send(sender=EmailAddress, request=None, email_address=address)
    assert CreditGrant.objects.get().granted_micro == FIVE_DOLLARS


def test_who_owns_nothing_and_where_nothing_is_given(bob, alice, settings):
    assert grant_free_credit(bob) is None
    settings.FREE_CREDIT_MICRO = 0
    assert grant_free_credit(alice) is None


def test_sign_up_brings_it_where_addresses_need_no_confirmation(client, settings, db):
    settings.REQUIRE_VERIFIED_EMAIL = False
    form = {"email": "new@acme.test", "password1": "correct horse battery", "team_name": "T"}
    assert client.post("/accounts/signup/", form).status_code == 302
    assert CreditGrant.objects.get().granted_micro == FIVE_DOLLARS


@pytest.mark.parametrize(
    ("dollars", "status"), [("25", 302), ("25.01", 409), ("", 409), ("0", 302)]
)
def test_a_cap_beyond_the_policy_takes_a_card(alice, team, client_of, dollars, status):
    client, address = client_of(alice), reverse("billing:cap", args=[team.slug])
    answer = client.post(address, {"dollars": dollars})
    assert answer.status_code == status
    if status == 409:
        assert "Without a card the spend cap is $25.00" in answer.content.decode()
        Subscription.objects.create(
            team=team, status="active", stripe_id="sub_1", plan_id="team", created_at=now(),
            period_start=now(), period_end=now() + timedelta(days=30), read_at=now(),
        )  # fmt: skip
        assert client.post(address, {"dollars": dollars}).status_code == 302


def test_without_the_policy_any_cap_is_anybodys(alice, team, client_of, settings):
    settings.MAX_CAP_WITHOUT_CARD_MICRO = 0
    address = reverse("billing:cap", args=[team.slug])
    assert client_of(alice).post(address, {"dollars": ""}).status_code == 302
