"""Suspending a team: an operator lets nothing new of it run. The column says "frozen"."""

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from accounts.notifications.publish import publish
from web.sse import notify


@transaction.atomic
def suspend(team: Team, operator: User | None) -> None:
    """Refuse everything new that the team wants to run."""
    if Team.objects.filter(pk=team.pk, frozen_at=None).update(frozen_at=now()):
        _record_and_publish(
            team, operator, "team.frozen", f"An operator suspended {team}: nothing new may run."
        )


@transaction.atomic
def unsuspend(team: Team, operator: User | None) -> None:
    """Allow the team to run things again."""
    if Team.objects.filter(pk=team.pk, frozen_at__isnull=False).update(frozen_at=None):
        _record_and_publish(
            team, operator, "team.unfrozen", f"An operator lifted the suspension of {team}."
        )


def _record_and_publish(team: Team, operator: User | None, event: str, sentence: str) -> None:
    notify(f"team:{team.pk}")
    audit.record(team, operator, event, team.name, by="operator")
    publish(team, event, sentence)
