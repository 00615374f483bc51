"""API tokens: shown once, scoped, expiring, revocable."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import ApiToken, AuditEntry, Membership, Role, Team, User

SCOPES = ["read", "write", "inference"]


def create(client, team, **facts):
    form = {"name": "CI", "scopes": SCOPES, "days": "30", **facts}
    return client.post(reverse("accounts:create-token", args=[team.slug]), form)


def test_a_new_token_is_shown_once_and_works(client_of, alice, team, client):
    page = create(client_of(alice), team)
    token = ApiToken.objects.get()
    secret = page.context["secret"]
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert (
        secret
        not in client_of(alice).get(reverse("accounts:tokens", args=[team.slug])).content.decode()
    )
    answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json()["team"]["slug"] == team.slug
    assert answer.json()["scopes"] == SCOPES
    assert token.expires_at < now() + timedelta(days=31)


def test_the_secret_is_stored_nowhere(client_of, alice, team):
    secret = create(client_of(alice), team).context["secret"]
    stored = str(list(ApiToken.objects.values())) + str(list(AuditEntry.objects.values()))
    assert secret not in stored


def test_a_token_without_scopes_is_refused_with_a_sentence(client_of, alice, team):
    page = create(client_of(alice), team, scopes=[])
    assert page.status_code == 400
    assert "Choose at least one scope." in page.content.decode()
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("odd", [{"days": "-5"}, {"days": "x"}, {"name": ""}, {"scopes": ["root"]}])
def test_odd_forms_are_refused(client_of, alice, team, odd):
    assert create(client_of(alice), team, **odd).status_code == 400


def test_a_viewer_cannot_create_tokens(client_of, vera, team):
    assert create(client_of(vera), team).status_code == 403
    assert not ApiToken.objects.exists()


def test_a_stranger_finds_neither_page_nor_token(client_of, mallory, team, token):
    client = client_of(mallory)
    assert client.get(reverse("accounts:tokens", args=[team.slug])).status_code == 404
    assert create(client, team).status_code == 404
    assert client.post(reverse("accounts:revoke-token", args=[token.pk])).status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_a_revoked_token_stops_working_at_once_and_is_audited(client_of, alice, team, token, api):
    assert api(token).get("/api/v1/me").status_code == 200
    client_of(alice).post(reverse("accounts:revoke-token", args=[token.pk]))
    assert api(token).get("/api/v1/me").status_code == 401
    assert AuditEntry.objects.filter(team=team, action="token.revoked", actor=alice.email).exists()


def test_a_member_revokes_own_tokens_but_not_an_owners(client_of, bob, team, token):
    mine, _ = ApiToken.issue(team=team, created_by=bob, name="mine")
    assert client_of(bob).post(reverse("accounts:revoke-token", args=[token.pk])).status_code == 403
    assert client_of(bob).post(reverse("accounts:revoke-token", args=[mine.pk])).status_code == 302
    mine.refresh_from_db()
    assert mine.revoked_at is not None


def test_an_inference_token_may_ask_who_it_is_but_not_read(api, team, alice):
    token, token_secret = ApiToken.issue(
        team=team, created_by=alice, name="ask", scopes=["inference"]
    )
    token.secret = token_secret
    assert api(token).get("/api/v1/me").json()["scopes"] == ["inference"]
    assert api(token).get("/api/v1/usage").status_code == 403


def run(**options):
    out = io.StringIO()
    call_command("create_api_token", stdout=out, **options)
    return out.getvalue().splitlines()[-1]


@pytest.mark.django_db
def test_the_command_creates_user_and_team_and_prints_the_token_last(client):
    secret = run(email="Ada@Acme.test", team="Acme Labs")
    me = client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).json()
    assert me["user"]["email"] == "ada@acme.test"
    assert me["team"]["name"] == "Acme Labs"
    run(email="ada@acme.test", team="Acme Labs", scopes=["read,inference"])
    assert User.objects.count() == Team.objects.count() == 1
    assert Membership.objects.get().role == Role.OWNER
    assert ApiToken.objects.order_by("created_at").last().scopes == ["read", "inference"]


def test_the_command_adds_a_second_person_to_an_existing_team_as_member(team, alice):
    run(email="new@acme.test", team="acme-labs")
    assert Membership.objects.get(user__email="new@acme.test").role == Role.MEMBER


@pytest.mark.django_db
@pytest.mark.parametrize(
    "odd", [{"email": "nonsense", "team": "T"}, {"email": "a@b.test", "team": "T", "scopes": ["x"]}]
)
def test_the_command_refuses_nonsense(odd):
    with pytest.raises(CommandError):
        run(**odd)
    assert not User.objects.exists()
