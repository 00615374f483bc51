"""Who may do what."""

import pytest
from django.http import Http404
from django.test import RequestFactory

from accounts.models import PERMISSIONS, ApiToken, Membership, Role, Team, User
from accounts.permissions import (
    find_team,
    has_permission,
    person_behind,
    require_permission,
    viewer_of,
)
from web.errors import NotAllowed


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("permission", ["read", "write", "inbox", "tokens", "billing", "team"])
def test_a_role_may_do_exactly_what_is_listed_for_it(alice, team, role, permission):
    Membership.objects.filter(user=alice).update(role=role)
    assert has_permission(alice, team, permission) is (permission in PERMISSIONS[role])


def test_a_stranger_may_do_nothing(mallory, team):
    assert not any(
        has_permission(mallory, team, each) for each in ["write", "tokens", "billing", "team"]
    )


def test_a_token_writes_only_with_its_scope_and_only_in_its_own_team(token, team, other_team):
    assert has_permission(token, team, "write")
    assert not has_permission(token, other_team, "write")
    assert not has_permission(token, team, "team")
    token.scopes = ["read"]
    assert not has_permission(token, team, "write")


def test_a_token_loses_the_right_to_write_with_its_creator(token, alice, team):
    Membership.objects.filter(user=alice).update(role=Role.VIEWER)
    with pytest.raises(NotAllowed):
        require_permission(token, team, "write")


def test_a_strangers_team_is_not_found(client_of, mallory, team):
    request = RequestFactory().get("/")
    request.user, request.session = mallory, {}
    with pytest.raises(Http404):
        find_team(request, team.slug)


def test_an_anonymous_viewer_has_no_permission(team):
    from django.contrib.auth.models import AnonymousUser

    assert not has_permission(AnonymousUser(), team, "write")


def test_tokens_and_users_are_told_apart(token, alice):
    assert isinstance(token, ApiToken)
    assert isinstance(alice, User)


def test_the_person_behind_a_token_is_its_creator(token, alice):
    assert person_behind(token) == alice
    assert person_behind(alice) is alice


def test_an_api_request_is_its_token_and_a_page_its_user(token, alice):
    request = RequestFactory().get("/")
    request.user = alice
    assert viewer_of(request) is alice
    request.auth = token
    assert viewer_of(request) is token
    request.auth = "something else"
    assert viewer_of(request) is alice


def test_a_page_of_a_team_is_remembered_for_the_next_one(client_of, alice, team, rf):
    request = rf.get("/")
    request.user, request.session = alice, {}
    find_team(request, team.slug)
    assert request.session == {"last_team": team.slug}


def test_the_query_set_shows_nothing_to_who_has_no_teams(team, alice, mallory):
    assert list(Team.objects.visible_to(alice)) == [team]
    assert team not in Team.objects.visible_to(mallory)
    assert not Team.objects.visible_to(None).exists()
    assert not Team.objects.visible_to(object()).exists()
