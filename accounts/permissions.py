"""Who may do what: the viewer behind a request, their team, and what their role permits."""

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from accounts.models import PERMISSIONS, ApiToken, Team, TokenScope, User
from web.errors import NotAllowed

TOKEN_PERMISSIONS = {"read", "write", "inbox"}
LAST_TEAM_SESSION_KEY = "last_team"  # Session key: the slug of the team last looked at.


class TokenNotAllowed(NotAllowed):
    sentence = (
        "This API token may not do this: it lacks the write scope, or whoever created it may not"
        " do it any more. Use another one, or a browser."
    )


def viewer_of(request: HttpRequest | Request) -> User | ApiToken:
    """The token of an API request, else the signed-in user."""
    token = getattr(request, "auth", None)
    return token if isinstance(token, ApiToken) else request.user  # type: ignore[return-value]


def token_of(request: HttpRequest | Request) -> ApiToken:
    """The token of an API request, where HasScope lets nothing else through."""
    token = getattr(request, "auth", None)
    assert isinstance(token, ApiToken)
    return token


def person_behind(viewer: User | ApiToken) -> User:
    """The person who acts: the user, or the one who created the API token."""
    return viewer.created_by if isinstance(viewer, ApiToken) else viewer


def find_team(request: HttpRequest | Request, slug: str, permission: str = "read") -> Team:
    """The team with this slug. A stranger gets a 404; raises NotAllowed where the viewer's role
    lacks the permission, so that a page which names none is for those who may read all."""
    team = find_own_team(request, slug)
    require_permission(viewer_of(request), team, permission)
    return team


def find_own_team(request: HttpRequest | Request, slug: str) -> Team:
    """The team with this slug, if the viewer belongs to it in any role; else a 404."""
    team = _own_team(viewer_of(request), slug)
    if isinstance(request, HttpRequest) and request.session.get(LAST_TEAM_SESSION_KEY) != slug:
        request.session[LAST_TEAM_SESSION_KEY] = slug
    return team


def _own_team(viewer: User | ApiToken, slug: str) -> Team:
    if not isinstance(viewer, User):
        return get_object_or_404(Team.objects.visible_to(viewer), slug=slug)
    own: list[Team] = [membership.team for membership in viewer.team_memberships()]
    team = next((team for team in own if team.slug == slug), None)
    if team is None:
        raise Http404
    return team


def role_of(user: User, team: Team) -> str | None:
    """The person's role in the team, None for strangers."""
    own: dict[object, str] = {one.team_id: one.role for one in user.team_memberships()}
    return own.get(team.pk)


def has_permission(viewer: User | ApiToken, team: Team, permission: str) -> bool:
    """Whether the viewer has "read", "write", "inbox", "tokens", "billing" or "team" in this team.

    A token can at most read, write and use the inbox, needs the scope for writing (that for
    reading is asked by `HasScope`), and never outlives its creator's role.
    """
    if isinstance(viewer, ApiToken):
        allowed = permission in TOKEN_PERMISSIONS and viewer.team_id == team.pk
        may_write = permission != "write" or TokenScope.WRITE in viewer.scopes
        return allowed and may_write and has_permission(viewer.created_by, team, permission)
    if not isinstance(viewer, User):
        return False
    return permission in PERMISSIONS.get(role_of(viewer, team) or "", set())


def require_permission(viewer: User | ApiToken, team: Team, permission: str) -> None:
    """Raise NotAllowed unless the viewer has this permission in this team."""
    if not has_permission(viewer, team, permission):
        raise TokenNotAllowed if isinstance(viewer, ApiToken) else NotAllowed
