"""What operators see and end of how people sign in."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

SESSIONS = "/admin/usersessions/usersession/"
AUTHENTICATORS = "/admin/mfa/authenticator/"


@pytest.fixture
def operator(bob, client_of):
    bob.is_staff = bob.is_superuser = True
    bob.save()
    return client_of(bob)


@pytest.fixture
def browser(alice):
    """Alice's, with its session as allauth keeps it."""
    client = Client()
    client.force_login(alice)
    client.get("/settings/")
    key = client.session.session_key
    row = UserSession.objects.filter(session_key=key).first() or UserSession.objects.create(
        user=alice, session_key=key, ip="203.0.113.7", user_agent="Firefox"
    )
    return client, row


@pytest.fixture
def authenticator(alice):
    return Authenticator.objects.create(user=alice, type="totp", data={"secret": "TOPSECRET"})


@pytest.mark.parametrize("text", ["alice@", "nobody", "%", ""])
def test_sessions_and_second_factors_are_found_by_address(
    operator, browser, authenticator, alice, text
):
    for page in (SESSIONS, AUTHENTICATORS):
        answer = operator.get(page, {"q": text})
        assert answer.status_code == 200
        listed = [row.user for row in answer.context["cl"].queryset if row.user == alice]
        assert bool(listed) == (text in alice.email)


def test_no_secret_of_a_second_factor_is_shown(operator, authenticator):
    answer = operator.get(f"{AUTHENTICATORS}{authenticator.pk}/change/")
    assert answer.status_code == 200
    assert "TOPSECRET" not in answer.content.decode()
    assert operator.get(f"{AUTHENTICATORS}add/").status_code == 403


def test_a_lost_second_factor_is_taken_away(operator, authenticator):
    operator.post(f"{AUTHENTICATORS}{authenticator.pk}/delete/", {"post": "yes"})
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("from_list", [True, False])
def test_a_session_that_is_deleted_is_signed_out(operator, browser, from_list):
    client, row = browser
    key = row.session_key
    assert client.get("/settings/").status_code == 200
    if from_list:
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        operator.post(SESSIONS, chosen)
    else:
        operator.post(f"{SESSIONS}{row.pk}/delete/", {"post": "yes"})
    assert not Session.objects.filter(pk=key).exists()
    assert client.get("/settings/").status_code == 302
