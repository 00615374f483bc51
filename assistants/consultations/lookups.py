"""What answers at the moment: the channel that a program asks through, and its live version.

A version is frozen, so it is kept in memory; which one is live, and whether its promise was broken,
is read with each question.
"""

import copy
from functools import lru_cache
from uuid import UUID

from assistants.errors import AssistantNotLive
from assistants.models import Assistant, Channel, Version, VersionStatus
from web.database.rows import Columns, fetch

CHANNEL, ASSISTANT = Columns(Channel, "channel"), Columns(Assistant, "assistant")
CHANNEL_SQL = f"""
SELECT live.id, live.promise_broken_at, {CHANNEL.sql}, {ASSISTANT.sql}
FROM {Assistant._meta.db_table} assistant
JOIN {Channel._meta.db_table} channel ON channel.assistant_id = assistant.id
LEFT JOIN {Version._meta.db_table} live
  ON live.assistant_id = assistant.id AND live.status = 'live'
WHERE assistant.team_id = %s AND assistant.name = %s AND assistant.state <> 'retired'
  AND channel.kind = 'api' AND channel.disabled_at IS NULL
ORDER BY channel.created_at LIMIT 1
"""
LIVE_SQL = f"""
SELECT id, promise_broken_at FROM {Version._meta.db_table}
WHERE assistant_id = %s AND status = 'live'
"""


def find_api_channel(team_id: UUID, name: str) -> Channel | None:
    """The oldest way in by API of the team's assistant of this name; None before the first."""
    rows = fetch(CHANNEL_SQL, [team_id, name])
    if not rows:
        return None
    version_id, promise_broken_at, *values = rows[0]
    channel = CHANNEL.read(values[: len(CHANNEL)])
    channel.assistant = ASSISTANT.read(values[len(CHANNEL) :])
    channel.assistant.known_live = [(version_id, promise_broken_at)] if version_id else []
    return channel


def find_live_version(assistant: Assistant) -> Version:
    """Without its reports, which nobody needs to answer. Raises AssistantNotLive."""
    if assistant.state != Assistant.State.LIVE:
        raise AssistantNotLive
    rows = assistant.known_live
    if rows is None:
        rows = fetch(LIVE_SQL, [assistant.pk])
    if not rows:
        raise AssistantNotLive
    ((version_id, promise_broken_at),) = rows
    version = copy.copy(_load_frozen(version_id))
    version.promise_broken_at, version.status = promise_broken_at, VersionStatus.LIVE
    version.assistant = assistant
    return version


@lru_cache(maxsize=256)
def _load_frozen(version_id: int) -> Version:
    return Version.objects.defer("report", "passage_report").get(pk=version_id)
