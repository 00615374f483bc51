"""Removed assistants on the team's trash page."""

from accounts.models import Team
from assistants.models import Assistant
from inference.queries.trash import TrashItem
from web.browser.trash import restorable_since


def removed_assistants(team: Team) -> list[TrashItem]:
    """Those that can still be brought back."""
    rows = Assistant.objects.filter(team=team, retired_at__gte=restorable_since())
    return [
        TrashItem(
            kind="Assistant",
            name=row.name,
            id=row.pk,
            removed_at=row.retired_at,
            project=row.project.name,
            restore_view="assistants:restore",
        )
        for row in rows.select_related("project")
        if row.retired_at is not None
    ]
