"""What every template may ask: the team in view and the teams to switch to."""

from uuid import UUID

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import Team, User
from accounts.permissions import LAST_TEAM_SESSION_KEY


def team(request: HttpRequest) -> dict[str, object]:
    """`team` (the last one looked at, else the first) and `teams`; a view's own `team` wins."""
    return {
        "teams": SimpleLazyObject(lambda: teams_of(request)),
        "team": SimpleLazyObject(lambda: current_team(request)),
    }


def teams_of(request: HttpRequest) -> list[Team]:
    """The signed-in person's teams in the order they joined; looked up once per request."""
    teams: list[Team] | None = getattr(request, "_teams", None)
    if teams is None:
        user = getattr(request, "user", None)
        teams = []
        if isinstance(user, User):
            memberships = user.memberships.select_related("team").order_by("joined_at", "pk")
            teams = [membership.team for membership in memberships]
            request._roles = {  # type: ignore[attr-defined]
                membership.team_id: membership.role for membership in memberships
            }
        request._teams = teams  # type: ignore[attr-defined]
    return teams


def role_in(request: HttpRequest, team: Team) -> str | None:
    """The signed-in person's role in this team, from the same look-up."""
    teams_of(request)
    roles: dict[UUID, str] = getattr(request, "_roles", {})
    return roles.get(team.pk)


def current_team(request: HttpRequest) -> Team | None:
    """The team last looked at in this session, else the first joined, else None."""
    teams = teams_of(request)
    last = request.session.get(LAST_TEAM_SESSION_KEY) if teams else None
    return next((team for team in teams if team.slug == last), teams[0] if teams else None)
