"""API tokens: shown once, scoped, expiring, revocable."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils.timezone import now

from accounts import tokens
from accounts.models import ApiToken, AuditEntry, Membership, Role, Team, User
from accounts.tokens import TokenLimits
from billing.metering.usage_events import UsageRecord, record_usage
from billing.models import UsageDay
from tests.conftest import issue
from web.templatetags.ui import money

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


def test_limits_are_kept_and_told(client_of, alice, team, api):
    limits = {"allowed_models": " intents \n\nmoods\nintents", "budget": "2.50"}
    create(client_of(alice), team, **limits, requests_per_minute="30")
    token = ApiToken.objects.get()
    assert token.allowed_models == ["intents", "moods"]
    assert (token.budget_micro, token.requests_per_minute) == (2_500_000, 30)
    page = client_of(alice).get(reverse("accounts:tokens", args=[team.slug])).content.decode()
    for words in ("only intents, moods", "$2.50 a month", "30 requests a minute"):
        assert words in page
    (answer,) = api(issue(team, alice)).get("/api/v1/tokens?limit=1").json()["data"]
    assert {
        "allowed_models",
        "budget_micro",
        "requests_per_minute",
        "last_used_at",
    } <= answer.keys()


@pytest.mark.parametrize(
    "odd",
    [{"budget": "-1"}, {"budget": "NaN"}, {"budget": "1e99"}, {"requests_per_minute": "0"},
     {"requests_per_minute": str(2**40)}, {"allowed_models": "\n".join(map(str, range(51)))},
     {"allowed_models": "x" * 301}],
)  # fmt: skip
def test_odd_limits_are_refused(client_of, alice, team, odd):
    assert create(client_of(alice), team, **odd).status_code == 400
    assert not ApiToken.objects.exists()


def me(client, secret):
    return client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_rotated_token_keeps_everything_but_its_secret(client_of, alice, team, token, client):
    former = token.secret
    address = reverse("accounts:rotate-token", args=[token.pk])
    page = client_of(alice).post(address, {"overlap_hours": "1"})
    secret = page.context["secret"]
    assert "no-store" in page["Cache-Control"]
    assert secret != former
    assert secret.startswith(token.prefix)
    assert (me(client, former), me(client, secret)) == (200, 200)
    ApiToken.objects.update(previous_until=now())
    assert (me(client, former), me(client, secret)) == (401, 200)
    newest = client_of(alice).post(address, {"overlap_hours": "0"}).context["secret"]
    assert (me(client, secret), me(client, newest)) == (401, 200)
    assert AuditEntry.objects.filter(action="token.rotated").count() == 2
    assert client_of(alice).post(address, {"overlap_hours": "7"}).status_code == 302  # No choice.


def test_a_token_rotates_and_revokes_itself_by_api(api, team, alice, token, mallory_token, client):
    other = issue(team, alice, scopes=["inference"])
    for somebody, status in ((other, 403), (mallory_token, 404)):
        answer = api(somebody).post(f"/api/v1/tokens/{token.pk}/rotate", {})
        assert answer.status_code == status
        assert api(somebody).delete(f"/api/v1/tokens/{token.pk}").status_code == status
    rotated = api(other).post(f"/api/v1/tokens/{other.pk}/rotate", {"overlap_hours": 0})
    assert rotated.status_code == 200
    secret = rotated.json()["secret"]
    assert me(client, other.secret) == 401
    gone = client.delete(
        f"/api/v1/tokens/{other.pk}", headers={"Authorization": f"Bearer {secret}"}
    )
    assert gone.json()["revoked_at"]
    assert me(client, secret) == 401
    assert "secret" not in str(api(token).get("/api/v1/tokens").json())


def test_a_replaced_secret_cannot_take_the_token_over(team, alice, client):
    """Somebody found it, so it was rotated with an overlap: the finder must not rotate it back."""
    leaked = issue(team, alice, scopes=["inference"])
    address = f"/api/v1/tokens/{leaked.pk}/rotate"

    def rotate(secret):
        return client.post(address, headers={"Authorization": f"Bearer {secret}"})

    present = rotate(leaked.secret).json()["secret"]
    assert me(client, leaked.secret) == 200  # The overlap.
    refused = rotate(leaked.secret)
    assert refused.status_code == 403
    assert "replaced" in refused.content.decode()
    assert me(client, present) == 200
    assert rotate(present).status_code == 200


def test_a_revoked_token_cannot_be_rotated(client_of, alice, token, client):
    ApiToken.objects.update(revoked_at=now())
    address = reverse("accounts:rotate-token", args=[token.pk])
    assert client_of(alice).post(address, {"overlap_hours": "1"}).status_code == 409
    assert me(client, token.secret) == 401


def edit(client, token, **facts):
    form = {"name": token.name, "scopes": token.scopes, "days": "keep", **facts}
    return client.post(reverse("accounts:edit-token", args=[token.pk]), form)


def test_the_edit_page_shows_what_a_token_may_do(client_of, alice, token):
    ApiToken.objects.filter(pk=token.pk).update(
        allowed_models=["a", "b"], budget_micro=1_500_000, requests_per_minute=7
    )
    page = client_of(alice).get(reverse("accounts:edit-token", args=[token.pk]))
    form = page.context["form"]
    shown = {name: form[name].value() for name in ("allowed_models", "requests_per_minute")}
    assert shown == {"allowed_models": "a\nb", "requests_per_minute": 7}
    assert float(form["budget"].value()) == 1.5
    assert (
        edit(
            client_of(alice), token, allowed_models="a\nb", budget="1.5", requests_per_minute="7"
        ).status_code
        == 302
    )  # Nothing has changed.
    assert not AuditEntry.objects.filter(action="token.changed").exists()


def test_limits_of_a_token_are_changed_and_its_secret_is_not(client_of, alice, team, api):
    token = issue(team, alice, scopes=SCOPES)
    expiry = now() + timedelta(days=3)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=expiry)
    changes = {"name": "Build", "scopes": ["read"], "budget": "2.50", "requests_per_minute": "60"}
    page = edit(client_of(alice), token, allowed_models="support\n\nsupport", **changes)
    assert page.status_code == 302
    token.refresh_from_db()
    assert (token.name, token.scopes, token.allowed_models) == ("Build", ["read"], ["support"])
    assert (token.budget_micro, token.requests_per_minute) == (2_500_000, 60)
    assert token.expires_at == expiry
    assert api(token).get("/api/v1/me").json()["scopes"] == ["read"]
    entry = AuditEntry.objects.get(action="token.changed")
    assert entry.detail["scopes"] == [str(SCOPES), "['read']"]
    assert "expires_at" not in entry.detail
    edit(client_of(alice), token, days="never")  # Empty limits are none.
    token.refresh_from_db()
    assert (token.expires_at, token.budget_micro, token.requests_per_minute) == (None, None, None)
    assert token.allowed_models == []


@pytest.mark.parametrize(
    "odd", [{"days": "-5"}, {"name": ""}, {"scopes": []}, {"budget": "-1"}, {"scopes": ["root"]}]
)
def test_odd_changes_are_refused(client_of, alice, token, odd):
    page = edit(client_of(alice), token, **odd)
    assert page.status_code == 400
    assert not AuditEntry.objects.filter(action="token.changed").exists()


def test_only_its_creator_and_admins_change_a_token(client_of, alice, bob, mallory, vera, team):
    mine, _ = ApiToken.issue(team=team, created_by=bob, name="Bobs", scopes=["read"])
    theirs, _ = ApiToken.issue(team=team, created_by=alice, name="Alices", scopes=["read"])
    statuses = {
        (client_of(person).get(reverse("accounts:edit-token", args=[token.pk])).status_code,
         edit(client_of(person), token, name="x").status_code)
        for person, token in ((bob, theirs), (vera, mine))
    }  # fmt: skip
    assert statuses == {(403, 403)}
    assert edit(client_of(mallory), mine, name="x").status_code == 404
    assert edit(client_of(bob), mine, name="mine").status_code == 302
    assert edit(client_of(alice), mine, name="admins").status_code == 302


def test_a_revoked_or_expired_token_cannot_be_changed(client_of, alice, token):
    for over in ({"expires_at": now()}, {"revoked_at": now()}):
        ApiToken.objects.filter(pk=token.pk).update(**over)
        assert edit(client_of(alice), token, days="never").status_code == 409


@pytest.mark.parametrize(("left", "is_over"), [(1, False), (0, True), (-1, True)])
def test_what_a_token_has_spent_stands_beside_its_budget(
    client_of, alice, team, other_team, left, is_over
):
    limits = TokenLimits(budget_micro=1)
    token, _ = tokens.issue(team, alice, name="Bot", scopes=["inference"], limits=limits)
    record_usage(
        UsageRecord(
            team_id=owner.pk,
            source="deployment:1",
            event_key=key,
            units=90_000,
            requests=1,
            token_prefix=prefix,
        )
        for owner, key, prefix in (
            (team, "a", token.prefix),
            (team, "b", token.prefix),
            (team, "c", "lathe_another"),
            (other_team, "d", token.prefix),
        )
    )
    spent = 2 * UsageDay.objects.get(team=other_team).amount_micro
    assert spent > 0
    ApiToken.objects.update(budget_micro=spent + left)
    page = client_of(alice).get(reverse("accounts:tokens", args=[team.slug])).content.decode()
    assert f"{money(spent + left)} a month, {money(spent)} spent" in page
    assert ("it answers nothing until next month" in page) is is_over
