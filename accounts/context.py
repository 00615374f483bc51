"""What every template may ask: the team in view and the teams to switch to."""

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
    """The signed-in person's teams in the order they joined."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return []
    return [membership.team for membership in user.team_memberships()]


def current_team(request: HttpRequest) -> Team | None:
    """The team last looked at in this session, else the first joined, else None."""
    teams = teams_of(request)
    last = request.session.get(LAST_TEAM_SESSION_KEY) if teams else None
    return next((team for team in teams if team.slug == last), teams[0] if teams else None)
