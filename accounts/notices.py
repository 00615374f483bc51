"""Telling a team that something happened. Sending it (e-mail, webhooks) is telling's business."""

from typing import Any

from django.db import transaction

from accounts.models import Group, Notice, Team, User
from accounts.tasks import fan_out
from web.live import notify

# The group of an event is that of its longest known beginning; anything else is progress.
GROUPS = {
    "training_job.failed": Group.FAILURES,
    "training_job.succeeded": Group.RESULTS,
    "training_job.cancelled": Group.RESULTS,
    "training_job": Group.PROGRESS,
    "dataset.failed": Group.FAILURES,
    "dataset": Group.RESULTS,
    "deployment.gated": Group.FAILURES,
    "deployment.failed": Group.FAILURES,
    "deployment": Group.RESULTS,
    "budget": Group.BUDGET,
    "credit": Group.BUDGET,
    "payment": Group.PAYMENT,
    "team": Group.SECURITY,
    "member": Group.SECURITY,
    "token": Group.SECURITY,
    "webhook": Group.SECURITY,
}


def tell(
    team: Team,
    event: str,
    sentence: str,
    *,
    url: str = "",
    key: str = "",
    data: dict[str, Any] | None = None,
    about: User | None = None,
) -> None:
    """Record that something happened that people or programs want to know.

    Call in the transaction that makes it true; delivery happens after commit and survives
    crashes. The same non-empty `key` told twice for a team is one notice. `about` is the person
    whose doing it is (who launched the job): by default only they get an e-mail of successes.
    """
    notice = Notice(
        team=team,
        event=event,
        group=group_of(event),
        sentence=sentence[:500],
        url=url,
        key=key,
        data=data or {},
        about=about,
    )
    Notice.objects.bulk_create([notice], ignore_conflicts=bool(key))
    notify(channel_of(team))
    # Lost messages cost seconds: beat fans out what nobody has.
    transaction.on_commit(lambda: fan_out.apply_async(expires=60, retry=False), robust=True)


def channel_of(team: Team) -> str:
    """What the bell of every member's page listens to."""
    return f"notices:{team.pk}"


def group_of(event: str) -> Group:
    return GROUPS.get(event) or GROUPS.get(event.partition(".")[0], Group.PROGRESS)
