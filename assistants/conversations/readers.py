"""Who has a conversation open now: told by their pages every few seconds, forgotten soon after."""

from django.core.cache import cache

from accounts.models import User, roles_with
from assistants.models import Conversation

SEEN_SECONDS = 40  # Pages tell it every 15.


def tell_present(conversation: Conversation, person: User) -> None:
    cache.set(_key(conversation, person.pk), 1, SEEN_SECONDS)


def is_present(conversation: Conversation, person: User) -> bool:
    return cache.get(_key(conversation, person.pk)) is not None


def others_present(conversation: Conversation, person: User) -> list[User]:
    """Whoever else of those who may use the inbox has it open, by name."""
    team = conversation.channel.assistant.team
    members = team.memberships.filter(role__in=roles_with("inbox")).exclude(user=person)
    people = {_key(conversation, one.user_id): one.user for one in members.select_related("user")}
    return sorted((people[key] for key in cache.get_many(people)), key=str)


def _key(conversation: Conversation, person_id: int) -> str:
    return f"assistants:present:{conversation.pk}:{person_id}"
