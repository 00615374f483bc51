"""What the operator's policy keeps strangers from."""

import importlib
import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.urls import clear_url_caches

from accounts.models import Membership, Role, Team, User
from accounts.teams import membership


def test_one_person_owns_as_many_teams_as_the_policy_says(alice, client_of, settings):
    settings.MAX_OWNED_TEAMS = 2
    client = client_of(alice)
    assert client.post("/settings/teams/", {"name": "Second"}).status_code == 302
    refused = client.post("/settings/teams/", {"name": "Third"})
    assert refused.status_code == 409
    assert "may own 2 teams here" in refused.content.decode()
    assert Membership.objects.filter(user=alice, role=Role.OWNER).count() == 2
    settings.MAX_OWNED_TEAMS = 0
    assert client.post("/settings/teams/", {"name": "Third"}).status_code == 302


def test_teams_that_others_own_do_not_count(bob, client_of, settings):
    settings.MAX_OWNED_TEAMS = 1
    assert client_of(bob).post("/settings/teams/", {"name": "Own"}).status_code == 302


def test_joining_takes_a_confirmed_address_where_the_policy_says_so(
    alice, team, client_of, settings
):
    _, secret = membership.invite(team, alice, email="grace@acme.test", role="member")
    grace = User.objects.create_user("grace@acme.test", "correct horse battery")
    EmailAddress.objects.create(user=grace, email=grace.email, primary=True)
    settings.REQUIRE_VERIFIED_EMAIL = True
    refused = client_of(grace).post(f"/join/{secret}/")
    assert (refused.status_code, team.memberships.filter(user=grace).exists()) == (403, False)
    EmailAddress.objects.update(verified=True)
    assert client_of(grace).post(f"/join/{secret}/").status_code == 302


@pytest.fixture(autouse=True)
def no_mail_before():
    """allauth sends an address one mail in three minutes, also of a run before this one."""
    cache.clear()


def reload_addresses():
    """allauth leaves out the addresses of what is off when it is imported."""
    for name in ("allauth.account.urls", "allauth.urls", "config.urls"):
        importlib.reload(importlib.import_module(name))
    clear_url_caches()


@pytest.fixture
def codes(settings):
    """Codes are mailed, as where mail is set up; the newest one."""
    settings.REQUIRE_VERIFIED_EMAIL, settings.ACCOUNT_EMAIL_VERIFICATION = True, "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
    settings.ACCOUNT_LOGIN_BY_CODE_ENABLED = True
    reload_addresses()
    yield lambda: re.search(r"^[A-Z0-9]+(-[A-Z0-9]+)?$", mail.outbox[-1].body, re.M)[0]
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = False
    settings.ACCOUNT_LOGIN_BY_CODE_ENABLED = False
    reload_addresses()


@pytest.mark.django_db
def test_an_address_is_confirmed_by_a_code(client, codes):
    form = {"email": "fresh@acme.test", "password1": "correct horse battery", "team_name": "T"}
    answer = client.post("/accounts/signup/", form)
    page = client.get(answer["Location"])
    assert "fresh@acme.test" in page.content.decode()
    assert client.get("/settings/").status_code == 302
    client.post(answer["Location"], {"code": "WRONG1"})
    assert not EmailAddress.objects.get().verified
    entered = client.post(answer["Location"], {"code": codes()})
    assert entered.status_code == 302
    assert EmailAddress.objects.get().verified
    assert client.get("/settings/").status_code == 200


@pytest.mark.django_db
def test_a_code_signs_in_without_a_password(alice, client, codes):
    EmailAddress.objects.update_or_create(
        user=alice, email=alice.email, defaults={"primary": True, "verified": True}
    )
    assert "Send me a sign-in code" in client.get("/accounts/login/").content.decode()
    asked = client.post("/accounts/login/code/", {"email": alice.email})
    client.post(asked["Location"], {"code": codes()})
    assert client.get("/settings/").status_code == 200


@pytest.mark.django_db
def test_signing_up_does_not_tell_which_addresses_exist(client, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    User.objects.create_user("known@acme.test", "correct horse battery")
    seen = []
    for email in ("known@acme.test", "new@acme.test"):
        form = {"email": email, "password1": "correct horse battery", "team_name": "T"}
        answer = client.post("/accounts/signup/", form)
        page = client.get(answer["Location"])
        seen.append((answer.status_code, answer["Location"], page.content.count(b"<p")))
        client.cookies.clear()
    assert seen[0] == seen[1]
    assert User.objects.filter(email="known@acme.test").count() == 1
    assert len(mail.outbox) == 2  # To the known one: that it has an account already.
    assert Team.objects.count() == 1
