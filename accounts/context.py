"""What every template may ask: the team in view and the teams to switch to."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.access import LAST_TEAM
from accounts.models import Team, User


def team(request: HttpRequest) -> dict[str, Any]:
    """`team` (the last one looked at, else the first) and `teams`; a view's own `team` wins."""
    return {
        "teams": SimpleLazyObject(lambda: teams_of(request)),
        "team": SimpleLazyObject(lambda: current_team(request)),
    }


def teams_of(request: HttpRequest) -> list[Team]:
    """The signed-in person's teams in the order they joined; looked up once per request."""
    found: list[Team] | None = getattr(request, "_teams", None)
    if found is None:
        user = getattr(request, "user", None)
        found = list(_joined(user)) if isinstance(user, User) else []
        request._teams = found  # type: ignore[attr-defined]
    return found


def current_team(request: HttpRequest) -> Team | None:
    """The team last looked at in this session, else the first joined, else None."""
    teams = teams_of(request)
    last = request.session.get(LAST_TEAM) if teams else None
    return next((team for team in teams if team.slug == last), teams[0] if teams else None)


def _joined(user: User) -> "list[Team]":
    memberships = user.memberships.select_related("team").order_by("joined_at", "pk")
    return [membership.team for membership in memberships]
