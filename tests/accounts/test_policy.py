"""What the operator's policy keeps strangers from."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail

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
