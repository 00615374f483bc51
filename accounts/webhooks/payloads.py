"""What programs are sent about a notice."""

import json
import uuid
from typing import Any

from django.conf import settings

from accounts.events import OPENAI_EVENTS, TEST_EVENT
from accounts.models import Notice

Event = tuple[str, str, str]  # Its type, its id, the body's text.


def events_of(notice: Notice) -> list[Event]:
    """Our own event and, for a finished fine-tune, the same in OpenAI's form. Ids never change."""
    created_at = int(notice.created_at.timestamp())
    facts = {**notice.data, "team": str(notice.team_id), "sentence": notice.sentence}
    if notice.url:
        facts["url"] = f"{settings.PUBLIC_URL}{notice.url}"
    found = [_event(notice.event, notice.pk, created_at, facts)]
    if theirs := OPENAI_EVENTS.get(notice.event):
        twin = uuid.uuid5(notice.pk, theirs)
        found.append(_event(theirs, twin, created_at, {"id": str(notice.data.get("id", ""))}))
    return found


def test_event(created_at: int) -> Event:
    """An event that says nothing but that the endpoint works."""
    return _event(TEST_EVENT, uuid.uuid4(), created_at, {"sentence": "This endpoint works."})


def _event(type_: str, number: uuid.UUID, created_at: int, data: dict[str, Any]) -> Event:
    event_id = f"evt_{number.hex}"
    body = {
        "object": "event",
        "id": event_id,
        "type": type_,
        "created_at": created_at,
        "data": data,
    }
    return type_, event_id, json.dumps(body, ensure_ascii=False, separators=(",", ":"))
