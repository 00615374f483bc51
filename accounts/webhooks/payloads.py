"""The events that programs receive about a notice."""

import json
import uuid
from collections.abc import Mapping

from django.conf import settings

from accounts.models import Notice
from accounts.notifications.events import TEST_EVENT, openai_id_of, openai_name_of

WebhookEvent = tuple[str, str, str]  # Its type, its id, the body's text.


def build_events(notice: Notice) -> list[WebhookEvent]:
    """Our own event and, where OpenAI has one, the same in OpenAI's form. Ids never change."""
    created_at = int(notice.created_at.timestamp())
    data = {**notice.data, "team": str(notice.team_id), "sentence": notice.sentence}
    if notice.url:
        data["url"] = f"{settings.PUBLIC_URL}{notice.url}"
    events = [_build_event(notice.event, notice.pk, created_at, data)]
    if openai_name := openai_name_of(notice.event):
        openai_id = uuid.uuid5(notice.pk, openai_name)
        openai_data = {"id": openai_id_of(notice.event, str(notice.data.get("id", "")))}
        events.append(_build_event(openai_name, openai_id, created_at, openai_data))
    return events


def build_test_event(created_at: int) -> WebhookEvent:
    """An event that says nothing but that the endpoint works."""
    return _build_event(TEST_EVENT, uuid.uuid4(), created_at, {"sentence": "This webhook works."})


def _build_event(
    event_type: str, number: uuid.UUID, created_at: int, data: Mapping[str, object]
) -> WebhookEvent:
    event_id = f"evt_{number.hex}"
    body = {
        "object": "event",
        "id": event_id,
        "type": event_type,
        "created_at": created_at,
        "data": data,
    }
    return event_type, event_id, json.dumps(body, ensure_ascii=False, separators=(",", ":"))
