"""Second factors, sessions, export and the end of an account."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client
from django.urls import reverse

from accounts.models import ApiToken, Membership, Role
from accounts.people.deletion import CannotDelete, delete_account
from accounts.signup import create_account

PASSWORD = "correct horse battery"


def signed_in(email: str, browser: str = "Mozilla/5.0 (X11; Linux) Firefox/140.0") -> Client:
    client = Client(headers={"User-Agent": browser})
    answer = client.post(reverse("account_login"), {"login": email, "password": PASSWORD})
    assert answer.status_code == 302
    return client


@pytest.fixture
def ada(db):
    return create_account("ada@acme.test", PASSWORD, "Acme")


def test_sessions_are_listed_and_ended_one_by_one(ada):
    here = signed_in("ada@acme.test")
    there = signed_in("ada@acme.test", "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36")
    page = here.get("/settings/").content.decode()
    assert "Firefox, Linux" in page
    assert "Chrome, Windows" in page
    user, _ = ada
    other = user.usersession_set.exclude(session_key=here.session.session_key).get()
    assert here.post(f"/settings/sessions/{other.pk}/end/").status_code == 302
    assert there.get("/settings/").status_code == 302
    assert here.get("/settings/").status_code == 200


def test_a_wrong_password_is_said_in_the_open_form_and_signs_nobody_out(ada):
    here, there = signed_in("ada@acme.test"), signed_in("ada@acme.test")
    answer = here.post("/settings/sessions/", {"password": "not it"})
    assert answer.status_code == 403
    page = answer.content.decode()
    form = page.partition('action="/settings/sessions/"')[0].rpartition("<details")[2]
    assert form.startswith(' class="fold" open>')
    error = page.partition('id="id_password_error"')[2].partition("</div>")[0]
    assert "That is not your current password. Nobody was signed out." in error
    assert there.get("/settings/").status_code == 200
    assert " open>" not in here.get("/settings/").content.decode()


def test_nobody_ends_the_session_of_somebody_else(ada, alice, client_of):
    signed_in("ada@acme.test")
    session = ada[0].usersession_set.get()
    assert client_of(alice).post(f"/settings/sessions/{session.pk}/end/").status_code == 404


@pytest.mark.parametrize(
    "name", ["mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "mfa_generate_recovery_codes"]
)
def test_the_pages_of_a_second_factor_wear_our_look(ada, name):
    page = signed_in("ada@acme.test").get(reverse(name), follow=True)
    assert page.status_code == 200
    assert "css/app.css" in page.content.decode()


def test_with_a_second_factor_the_password_alone_lets_nobody_in(ada):
    user, _ = ada
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    client = Client()
    form = {"login": user.email, "password": PASSWORD}
    answer = client.post(reverse("account_login"), form)
    assert answer.url == reverse("mfa_authenticate")
    assert client.get("/settings/").status_code == 302
    assert client.get(answer.url).status_code == 200


def test_the_export_holds_what_is_stored_about_the_person(ada):
    user, team = ada
    ApiToken.issue(team=team, created_by=user, name="CI")
    body = signed_in(user.email).get("/settings/export/").json()
    assert body["account"]["email"] == "ada@acme.test"
    assert body["teams"][0] == {**body["teams"][0], "team": "Acme", "role": "owner"}
    assert body["api_tokens"][0]["name"] == "CI"
    assert "digest" not in str(body)


def test_a_deleted_account_leaves_neither_name_nor_access(ada):
    user, team = ada
    token, _ = ApiToken.issue(team=team, created_by=user, name="CI")
    client = signed_in(user.email)
    assert client.post("/settings/delete/").status_code == 400  # The address was not typed.
    form = {"typed_name": "ada@acme.test"}
    answer = client.post("/settings/delete/", form)
    assert answer.url == "/accounts/reauthenticate/?next=%2Fsettings%2F"
    assert client.post(answer.url, {"password": PASSWORD}).url == "/settings/"
    assert client.post("/settings/delete/", form).url == "/"
    user.refresh_from_db()
    token.refresh_from_db()
    team.refresh_from_db()
    assert "ada" not in user.email
    assert not user.is_active
    assert token.revoked_at
    assert team.frozen_at
    assert not Membership.objects.filter(user=user).exists()
    assert not Authenticator.objects.filter(user=user).exists()
    assert client.get("/settings/").status_code == 302


def test_the_only_owner_of_a_team_with_members_stays(alice, bob, team):
    with pytest.raises(CannotDelete, match="only owner of Acme Labs"):
        delete_account(alice)
    Membership.objects.filter(user=bob).update(role=Role.OWNER)
    delete_account(alice)
    assert Membership.objects.filter(team=team).count() == 1
