"""The one rule of who may see what: your teams' rows, or your token's team's rows."""

from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from uuid import UUID

Row = TypeVar("Row", bound=models.Model)


class Viewer(Protocol):
    """A signed-in User or an ApiToken: whatever knows the teams it belongs to."""

    def team_ids(self) -> "list[UUID]": ...


class TeamOwnedQuerySet(models.QuerySet[Row]):
    """Rows that belong to a team through `team_path` (a lookup such as "project__team")."""

    team_path = "team"

    def visible_to(self, viewer: Viewer | Any) -> Self:
        """Only rows of the viewer's teams; an anonymous viewer sees nothing."""
        if not hasattr(viewer, "team_ids"):
            return self.none()
        return self.filter(**{f"{self.team_path}__in": viewer.team_ids()})
