"""Signing up, settings and the audit log."""

import re
from uuid import uuid4

import pytest
from django.urls import reverse

from accounts import audit
from accounts.models import Membership, Role, Team, User
from accounts.signup import create_account


@pytest.fixture(autouse=True)
def _own_rate_limits(settings):
    """Failed logins are counted in the cache, which other test processes share."""
    memory = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": memory, "LOCATION": uuid4().hex}}


def sign_up(client, **facts):
    form = {"email": "ada@acme.test", "password1": "correct horse battery", **facts}
    return client.post(reverse("account_signup"), form)


@pytest.mark.django_db
def test_signing_up_makes_a_team_owned_by_the_new_person(client):
    answer = sign_up(client)
    assert answer.status_code == 302
    member = Membership.objects.get(user__email="ada@acme.test")
    assert member.role == Role.OWNER
    assert member.team.name == "ada's team"


@pytest.mark.django_db
def test_a_used_address_makes_no_second_account(client):
    create_account("ada@acme.test", "correct horse battery")
    sign_up(client)
    assert User.objects.count() == 1
    assert Team.objects.count() == 1


@pytest.mark.django_db
def test_two_teams_of_one_name_get_two_addresses():
    _, first = create_account("a@acme.test", None, "Acme Labs")
    _, second = create_account("b@acme.test", None, "Acme Labs")
    assert first.slug == "acme-labs"
    assert second.slug.startswith("acme-labs-")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["深圳", "  ", "-", "x" * 200, "<script>"])
def test_any_team_name_gives_a_usable_address(name):
    _, team = create_account("a@acme.test", None, name)
    assert team.slug
    assert reverse("accounts:members", args=[team.slug])


@pytest.mark.django_db
def test_wrong_passwords_are_throttled(client):
    create_account("ada@acme.test", "correct horse battery")
    form = {"login": "ada@acme.test", "password": "wrong"}
    answers = [client.post(reverse("account_login"), form) for _ in range(12)]
    assert "Too many failed login attempts" in answers[-1].content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["account_login", "account_signup", "account_reset_password", "account_logout"]
)
def test_entrance_pages_wear_our_look(client, name):
    page = client.get(reverse(name), follow=True).content.decode()
    assert "css/app.css" in page


def test_account_pages_open(client_of, alice):
    for name in ["accounts:settings", "account_change_password", "account_email"]:
        page = client_of(alice).get(reverse(name), follow=True)
        assert page.status_code == 200
        assert "css/app.css" in page.content.decode()


def test_signing_out_elsewhere_ends_other_sessions_but_not_this_one(client_of, alice):
    here, there = client_of(alice), client_of(alice)
    url = reverse("accounts:sign-out-elsewhere")
    assert here.post(url, {"password": "wrong"}).status_code == 403
    assert there.get(reverse("accounts:settings")).status_code == 200
    assert here.post(url, {"password": "correct horse battery"}).status_code == 302
    assert here.get(reverse("accounts:settings")).status_code == 200
    assert there.get(reverse("accounts:settings")).status_code == 302


def test_the_audit_log_is_for_those_who_manage_the_team(client_of, alice, bob, mallory, team):
    audit.record(team, alice, "token.created", "CI", scopes=["read"])
    url = reverse("accounts:audit", args=[team.slug])
    assert "token.created" in client_of(alice).get(url).content.decode()
    assert client_of(bob).get(url).status_code == 403
    assert client_of(mallory).get(url).status_code == 404


def test_an_audit_entry_names_token_address_and_system(team, alice, token, client_of):
    assert audit.record(team, token, "x.y").actor == f"token {token.prefix}"
    assert audit.record(team, None, "x.y").actor == "system"
    client_of(alice).post(reverse("accounts:rename-team", args=[team.slug]), {"name": "New"})
    assert team.audit_entries.get(action="team.renamed").address == "127.0.0.1"


def test_suspending_a_team_in_the_admin_is_audited(client, team, db):
    operator = User.objects.create_superuser("root@acme.test", "correct horse battery")
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    form = {"action": "suspend", "_selected_action": [str(team.pk)]}
    client.post("/admin/accounts/team/", form)
    team.refresh_from_db()
    assert team.frozen_at is not None
    assert team.audit_entries.get(action="team.frozen").actor == operator.email


def test_every_admin_page_of_accounts_opens(client, token, team, alice):
    operator = User.objects.create_superuser("root@acme.test", "correct horse battery")
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    audit.record(team, alice, "x.y")
    for name in ["user", "team", "apitoken", "invitation", "auditentry"]:
        assert client.get(f"/admin/accounts/{name}/").status_code == 200
    for path in [f"user/{alice.pk}", f"team/{team.pk}", f"apitoken/{token.pk}"]:
        page = client.get(f"/admin/accounts/{path}/change/")
        assert page.status_code == 200
        assert token.digest not in page.content.decode()


def test_a_team_name_that_is_refused_stays_in_its_field(client_of, alice, team):
    answer = client_of(alice).post(
        reverse("accounts:rename-team", args=[team.slug]), {"name": "x" * 81}
    )
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "x" * 81 in page
    # Read aloud with its field: what `aria-describedby` names is there.
    described = re.search(r'<input[^>]*name="name"[^>]*aria-describedby="([^"]+)"', page)[1]
    assert re.search(rf'id="{described}">\s*<p class="error" role="alert">[^<]*80', page)
