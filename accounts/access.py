"""Who may do what: the viewer behind a request, their team, and what their role permits."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from accounts.models import PERMISSIONS, ApiToken, Membership, Scope, Team, User
from web.errors import NotAllowed

LAST_TEAM = "last_team"  # Session key: the slug of the team last looked at.


class TokenNotAllowed(NotAllowed):
    sentence = "This API token may not do this. Use one that has the write scope, or a browser."


def viewer_of(request: HttpRequest | Request) -> User | ApiToken:
    """The API token of an API request, else the signed-in user."""
    token = getattr(request, "auth", None)
    return token if isinstance(token, ApiToken) else request.user  # type: ignore[return-value]


def find_team(request: HttpRequest | Request, slug: str) -> Team:
    """The team with this slug, if the viewer belongs to it; anything else is a 404."""
    team = get_object_or_404(Team.objects.visible_to(viewer_of(request)), slug=slug)
    if isinstance(request, HttpRequest) and request.session.get(LAST_TEAM) != slug:
        request.session[LAST_TEAM] = slug
    return team


def role_of(user: User, team: Team) -> str | None:
    """The person's role in the team, None for strangers."""
    return Membership.objects.filter(user=user, team=team).values_list("role", flat=True).first()


def can(viewer: User | ApiToken, team: Team, permission: str) -> bool:
    """Whether the viewer has "write", "tokens", "billing" or "team" in this team.

    A token can at most write, needs the scope for it, and never outlives its creator's role.
    """
    if isinstance(viewer, ApiToken):
        allowed = permission == "write" and viewer.team_id == team.pk
        return allowed and Scope.WRITE in viewer.scopes and can(viewer.created_by, team, permission)
    if not isinstance(viewer, User):
        return False
    return permission in PERMISSIONS.get(role_of(viewer, team) or "", set())


def require(viewer: User | ApiToken, team: Team, permission: str) -> None:
    """Raise NotAllowed unless the viewer has this permission in this team."""
    if not can(viewer, team, permission):
        raise TokenNotAllowed if isinstance(viewer, ApiToken) else NotAllowed
