"""Who may do what."""

import pytest
from django.http import Http404
from django.test import RequestFactory

from accounts.access import can, find_team, require
from accounts.models import PERMISSIONS, ApiToken, Membership, Role, User
from web.errors import NotAllowed


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("permission", ["write", "tokens", "billing", "team"])
def test_a_role_may_do_exactly_what_is_listed_for_it(alice, team, role, permission):
    Membership.objects.filter(user=alice).update(role=role)
    assert can(alice, team, permission) is (permission in PERMISSIONS[role])


def test_a_stranger_may_do_nothing(mallory, team):
    assert not any(can(mallory, team, each) for each in ["write", "tokens", "billing", "team"])


def test_a_token_writes_only_with_its_scope_and_only_in_its_own_team(token, team, other_team):
    assert can(token, team, "write")
    assert not can(token, other_team, "write")
    assert not can(token, team, "team")
    token.scopes = ["read"]
    assert not can(token, team, "write")


def test_a_token_loses_the_right_to_write_with_its_creator(token, alice, team):
    Membership.objects.filter(user=alice).update(role=Role.VIEWER)
    with pytest.raises(NotAllowed):
        require(token, team, "write")


def test_a_strangers_team_is_not_found(client_of, mallory, team):
    request = RequestFactory().get("/")
    request.user, request.session = mallory, {}
    with pytest.raises(Http404):
        find_team(request, team.slug)


def test_an_anonymous_viewer_has_no_permission(team):
    from django.contrib.auth.models import AnonymousUser

    assert not can(AnonymousUser(), team, "write")


def test_tokens_and_users_are_told_apart(token, alice):
    assert isinstance(token, ApiToken)
    assert isinstance(alice, User)
