"""Invitations: the e-mail explains itself, and who follows it needs no second team."""

import re

import pytest
from django.core import mail
from django.test import Client

from accounts.models import Membership, Team, User


@pytest.fixture
def link(team, alice, client_of):
    form = {"email": "grace@acme.test", "role": "member"}
    page = client_of(alice).post(f"/teams/{team.slug}/members/invite/", form).content.decode()
    assert "The invitation is on its way" in page
    [message] = mail.outbox
    assert message.to == ["grace@acme.test"]
    assert "Alice invites you to Acme Labs" in message.subject
    assert "as member" in message.body
    return re.search(r"http://testserver(/join/\S+)", message.body)[1]


def test_a_guest_sees_who_invites_to_what(link):
    page = Client().get(link).content.decode()
    assert "Join Acme Labs?" in page
    assert "Alice invited grace@acme.test" in page
    assert "/accounts/signup/?email=grace%40acme.test" in page


def test_who_signs_up_by_the_link_joins_the_team_and_gets_no_other(link, team):
    client = Client()
    client.get(link)
    form = client.get("/accounts/signup/?email=grace@acme.test").content.decode()
    assert 'value="grace@acme.test"' in form
    answer = client.post(
        "/accounts/signup/", {"email": "grace@acme.test", "password1": "a lathe turns wood 42"}
    )
    assert answer.status_code == 302
    [member] = Membership.objects.filter(user=User.objects.get(email="grace@acme.test"))
    assert (member.team, member.role) == (team, "member")
    assert Team.objects.count() == 1


def test_another_address_gets_a_team_of_its_own(link, team):
    client = Client()
    client.get(link)
    form = {"email": "eve@acme.test", "password1": "a lathe turns wood 42"}
    client.post("/accounts/signup/", form)
    [member] = Membership.objects.filter(user=User.objects.get(email="eve@acme.test"))
    assert member.team != team


def test_who_has_an_account_signs_in_with_the_address_filled_in(link, mallory):
    User.objects.create_user("grace@acme.test", "correct horse battery")
    page = Client().get(link).content.decode()
    target = re.search(r'href="(/accounts/login/\?[^"]+)"', page)[1].replace("&amp;", "&")
    assert 'value="grace@acme.test"' in Client().get(target).content.decode()


def test_who_is_signed_in_as_another_signs_out_and_comes_back(link, mallory, client_of):
    client = client_of(mallory)
    page = client.get(link).content.decode()
    assert "the invitation is for grace@acme.test" in page
    form = page[page.index('action="/accounts/logout/"') :]
    back = re.search(r'name="next" value="([^"]+)"', form)[1]
    answer = client.post("/accounts/logout/", {"next": back})
    assert answer.headers["Location"] == link
    assert "/accounts/signup/?email=grace%40acme.test" in client.get(link).content.decode()


def test_without_a_mail_server_the_link_is_given_by_hand(team, alice, client_of, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 1
    form = {"email": "grace@acme.test", "role": "member"}
    page = client_of(alice).post(f"/teams/{team.slug}/members/invite/", form).content.decode()
    assert "The invitation was not sent" in page
    assert "/join/" in page
