"""An operator's brake on a team: nothing new may run."""

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from accounts.notices import tell
from web.live import notify


@transaction.atomic
def freeze(team: Team, operator: User | None) -> None:
    """Let nothing new of the team's run."""
    if Team.objects.filter(pk=team.pk, frozen_at=None).update(frozen_at=now()):
        _record(team, operator, "team.frozen", f"An operator froze {team}: nothing new may run.")


@transaction.atomic
def unfreeze(team: Team, operator: User | None) -> None:
    """Let the team go on."""
    if Team.objects.filter(pk=team.pk, frozen_at__isnull=False).update(frozen_at=None):
        _record(team, operator, "team.unfrozen", f"An operator lifted the freeze of {team}.")


def _record(team: Team, operator: User | None, event: str, sentence: str) -> None:
    notify(f"team:{team.pk}")
    audit.record(team, operator, event, team.name, by="operator")
    tell(team, event, sentence)
