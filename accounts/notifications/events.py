"""The types of event that a team can be notified of, as each app registers its own in `ready()`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from accounts.models import EventGroup, Notice

TEST_EVENT = "webhook.test"  # Sent to one endpoint, when somebody asks for it.


@dataclass(frozen=True)
class Bundling:
    """How e-mails about an event that comes in heaps are put together."""

    every: timedelta  # To one member, at most one e-mail in this time.
    still_true: Callable[[Sequence[Notice]], set[UUID]]  # Keys of those that are worth a mail now.
    describe: Callable[[int], str]  # So many of them, as a sentence.


@dataclass(frozen=True)
class EventType:
    """What a notice is about."""

    name: str  # "subject.happened", for example "training_job.failed".
    group: EventGroup  # Whose e-mail preference decides.
    description: str  # For people.
    openai_name: str = ""  # The same event in OpenAI's form, for programs written against it.
    openai_prefix: str = ""  # Of the id that OpenAI's clients know the subject by.
    bundling: Bundling | None = None  # None: an e-mail about each.
    in_new_webhooks: bool = False  # Whether the form for a new endpoint has it checked.


_types: dict[str, EventType] = {}
_positions: dict[str, int] = {}


def register_events(*types: EventType, position: int) -> None:
    """Make these events known to preferences, pages and webhooks.

    `position` orders the apps in lists of events. Raises ImproperlyConfigured when two apps
    register one name.
    """
    for event_type in types:
        if _types.setdefault(event_type.name, event_type) != event_type:
            raise ImproperlyConfigured(f"Two apps register the event {event_type.name}.")
        _positions[event_type.name] = position


def event_types() -> list[EventType]:
    """All registered events, by the apps' positions and then as they were registered."""
    return sorted(_types.values(), key=lambda event_type: _positions[event_type.name])


def bundled_events() -> dict[str, Bundling]:
    """How each event that comes in heaps is mailed, by its name."""
    return {
        name: event_type.bundling
        for name, event_type in _types.items()
        if event_type.bundling is not None
    }


def group_of(event: str) -> EventGroup:
    """The group whose preference decides; an unregistered event is progress: shown, not mailed."""
    return _types[event].group if event in _types else EventGroup.PROGRESS


def openai_name_of(event: str) -> str:
    """OpenAI's name for this event; empty when it has none."""
    return _types[event].openai_name if event in _types else ""


def openai_id_of(event: str, key: str) -> str:
    """The id under which OpenAI's clients find what such an event is about, of its UUID."""
    return _types[event].openai_prefix + key.replace("-", "")


def webhook_event_choices() -> list[tuple[str, str]]:
    """(name, description) of every event that an endpoint may choose, OpenAI's forms last."""
    types = event_types()
    openai_forms = [
        (event_type.openai_name, f"{event_type.description}, in OpenAI's form")
        for event_type in types
        if event_type.openai_name
    ]
    return [(event_type.name, event_type.description) for event_type in types] + openai_forms


def initial_webhook_events() -> list[str]:
    """What the form for a new endpoint has checked."""
    return [event_type.name for event_type in event_types() if event_type.in_new_webhooks]
