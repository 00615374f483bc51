"""Who has a conversation open now: told by their pages every few seconds, forgotten soon after."""

import logging

from django.core.cache import cache
from redis.exceptions import RedisError

from accounts.models import User, roles_with
from assistants.models import Conversation

logger = logging.getLogger(__name__)
SEEN_SECONDS = 40  # Pages tell it every 15.


def tell_present(conversation: Conversation, person: User) -> None:
    """A cache that is away stops nobody."""
    try:
        cache.set(_key(conversation, person.pk), 1, SEEN_SECONDS)
    except RedisError as problem:
        logger.warning("Nobody is told who reads a conversation: %s", problem)


def others_present(conversation: Conversation, person: User) -> list[User]:
    """Whoever else of those who may use the inbox has it open, by name."""
    team = conversation.channel.assistant.team
    members = team.memberships.filter(role__in=roles_with("inbox")).exclude(user=person)
    people = {_key(conversation, one.user_id): one.user for one in members.select_related("user")}
    try:
        seen = cache.get_many(people)
    except RedisError:
        return []
    return sorted((people[key] for key in seen), key=str)


def _key(conversation: Conversation, person_id: int) -> str:
    return f"assistants:present:{conversation.pk}:{person_id}"
