"""Recording that something happened to a team's things. `fan_out` sends e-mails and webhooks."""

from collections.abc import Mapping

from accounts.models import EventGroup, Notice, Team, User, WebhookEndpoint
from accounts.notifications.events import group_of
from web.enqueue import enqueue_on_commit
from web.sse import notify


def publish(
    team: Team,
    event: str,
    sentence: str,
    *,
    url: str = "",
    key: str = "",
    data: Mapping[str, object] | None = None,
    about: User | None = None,
    group: EventGroup | None = None,
    refresh_channel: str = "",
) -> None:
    """Record that something happened that people or programs want to know.

    Call in the transaction that makes it true; delivery happens after commit and survives
    crashes. Publishing twice with the same non-empty `key` makes one notice. `about` is the person
    who caused it (who launched the job): by default only they get an e-mail about successes.
    `group` replaces the event's own group. `refresh_channel` is a channel of live pages that is
    notified together with the bell.
    """
    # On one line, and without the characters that no column or mail header can hold.
    printable = "".join(character if character.isprintable() else " " for character in sentence)
    notice = Notice(
        team=team,
        event=event,
        group=group or group_of(event),
        sentence=" ".join(printable.split())[:500],
        url=url,
        key=key,
        data=dict(data or {}),
        about=about,
    )
    Notice.objects.bulk_create([notice], ignore_conflicts=bool(key))
    notify(notices_channel(team), *([refresh_channel] if refresh_channel else []))
    enqueue_on_commit("accounts.tasks.fan_out")


def publish_to_programs(
    team: Team, event: str, sentence: str, *, url: str, data: Mapping[str, object]
) -> None:
    """As `publish`, for what happens too often to be news: only where a webhook asks for it."""
    if WebhookEndpoint.objects.subscribed_to(event).filter(team=team).exists():
        publish(team, event, sentence, url=url, data=data)


def notices_channel(team: Team) -> str:
    """The channel to which every member's bell listens."""
    return f"notices:{team.pk}"
