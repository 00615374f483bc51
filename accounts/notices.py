"""Telling a team that something happened. Sending it (e-mail, webhooks) is telling's business."""

from typing import Any

from accounts.events import group_of
from accounts.models import Group, Notice, Team, User
from accounts.nudging import nudge_fan_out
from web.live import notify


def tell(
    team: Team,
    event: str,
    sentence: str,
    *,
    url: str = "",
    key: str = "",
    data: dict[str, Any] | None = None,
    about: User | None = None,
    group: Group | None = None,
    wake: str = "",
) -> None:
    """Record that something happened that people or programs want to know.

    Call in the transaction that makes it true; delivery happens after commit and survives
    crashes. The same non-empty `key` told twice for a team is one notice. `about` is the person
    whose doing it is (who launched the job): by default only they get an e-mail of successes.
    `group` where this one concerns people more, or less, than the event usually does. `wake`: a
    channel of live pages that is notified with the bell.
    """
    notice = Notice(
        team=team,
        event=event,
        group=group or group_of(event),
        sentence=_printable(sentence)[:500],
        url=url,
        key=key,
        data=data or {},
        about=about,
    )
    Notice.objects.bulk_create([notice], ignore_conflicts=bool(key))
    notify(channel_of(team), *([wake] if wake else []))
    nudge_fan_out()


def channel_of(team: Team) -> str:
    """What the bell of every member's page listens to."""
    return f"notices:{team.pk}"


def _printable(sentence: str) -> str:
    """On one line, and without what neither a column nor a mail header can hold."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in sentence).split())
