"""Sign-in through other services: off by default, whole once configured."""

import os
import subprocess
import sys

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import Invitation, User
from accounts.teams import membership
from accounts.teams.membership import INVITATION_SESSION_KEY
from config import social_login

KEYS = {
    "GOOGLE_CLIENT_ID": "g", "GOOGLE_CLIENT_SECRET": "s",
    "GITHUB_CLIENT_ID": "h", "GITHUB_CLIENT_SECRET": "s",
    "OIDC_CLIENT_ID": "o", "OIDC_CLIENT_SECRET": "s",
    "OIDC_SERVER_URL": "https://login.acme.test/realms/work", "OIDC_NAME": "Acme",
}  # fmt: skip
SHOW_ADDRESSES = """
import django; django.setup()
from django.conf import settings
from django.urls import reverse
print(reverse("google_callback"), reverse("github_callback"),
      reverse("openid_connect_callback", args=["oidc"]))
print(settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"])
"""


def test_nothing_is_offered_without_keys(client, db, monkeypatch):
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    assert social_login.read_social_login() == social_login.SocialLogin()
    page = client.get("/accounts/login/").content.decode()
    assert "third-party" not in page


def test_a_key_without_its_secret_stops_the_start(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLIENT_ID", "g")
    with pytest.raises(Exception, match="GOOGLE_CLIENT_SECRET"):
        social_login.read_social_login()


def test_each_configured_service_has_its_callback_and_may_be_posted_to():
    environment = os.environ | KEYS | {
        "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": "postgres://x/x",
        "REDIS_URL": "redis://x", "SECRET_KEY": "x" * 50,
    }  # fmt: skip
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_ADDRESSES], env=environment, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    addresses, allowed = shown.stdout.strip().splitlines()[-2:]
    assert addresses.split() == [
        "/accounts/google/login/callback/",
        "/accounts/github/login/callback/",
        "/accounts/oidc/oidc/login/callback/",
    ]
    for origin in ("https://accounts.google.com", "https://github.com", "https://login.acme.test"):
        assert origin in allowed


def signed_up(rf, email, **session) -> User:
    request = rf.get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    request.session.update(session)
    login = SocialLogin(
        user=User(email=email),
        account=SocialAccount(provider="google", uid=email),
        email_addresses=[EmailAddress(email=email, verified=True, primary=True)],
    )
    return get_adapter(request).save_user(request, login)


def test_who_comes_by_another_service_gets_a_team(rf, db):
    person = signed_up(rf, "grace@acme.test")
    assert person.memberships.get().role == "owner"
    assert not person.has_usable_password()


def test_who_comes_by_an_invitation_joins_its_team_alone(rf, team, alice):
    _, secret = membership.invite(team, alice, email="grace@acme.test", role="member")
    person = signed_up(rf, "grace@acme.test", **{INVITATION_SESSION_KEY: secret})
    assert [one.team for one in person.memberships.all()] == [team]
    assert Invitation.objects.get().accepted_at is not None
