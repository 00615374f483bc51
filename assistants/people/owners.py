"""Who has a conversation: found among those who may, and let go when they may or do not answer."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from accounts.models import Membership, Team, User, roles_with
from assistants.conversations import state
from assistants.conversations.readers import is_present
from assistants.errors import ConversationMovedOn, InvalidConsultation
from assistants.models import Conversation, ConversationState, Message, Move

# Whoever has the page open may be writing, or have left it open.
UNREPLIED_AFTER, UNREPLIED_AFTER_WITH_PAGE = timedelta(minutes=30), timedelta(hours=4)
BATCH = 200


def inbox_people(team: Team) -> list[User]:
    """Whoever may use the team's inbox, by name."""
    members = Membership.objects.filter(
        team=team, role__in=roles_with("inbox"), user__is_active=True
    )
    return sorted((member.user for member in members.select_related("user")), key=str)


def hand_to(conversation: Conversation, by: User, email: str) -> None:
    """Let the person with this address answer, in the place of who has it. Raises
    InvalidConsultation for somebody who may not use the inbox, or ConversationMovedOn."""
    people = inbox_people(conversation.channel.assistant.team)
    person = next((one for one in people if one.email.lower() == email.lower()), None)
    if person is None:
        raise InvalidConsultation("This person may not use the inbox.", param="assignee")
    state.reassign(conversation, by, person)


def release_of(person: User) -> int:
    """Let go what the person may not answer any more, with the rights they have now."""
    return _release(_without_rights().filter(assignee=person), "owner_gone")


def release_without_rights() -> int:
    """The same of everybody: whoever took one while their rights ended has it still."""
    return _release(_without_rights()[:BATCH], "owner_gone")


def release_unreplied() -> int:
    """Let go where a visitor has waited too long for the person who took the conversation."""
    away = [
        conversation
        for conversation in _unreplied(UNREPLIED_AFTER)[:BATCH]
        if conversation.assignee and not is_present(conversation, conversation.assignee)
    ]
    return _release([*away, *_unreplied(UNREPLIED_AFTER_WITH_PAGE)[:BATCH]], "no_reply")


def _unreplied(since: timedelta) -> QuerySet[Conversation]:
    said = Message.objects.filter(conversation=OuterRef("pk")).order_by("-seq")
    last_reply = Subquery(said.filter(author=Message.Author.PERSON).values("seq")[:1])
    before = now() - since
    asked = said.filter(
        author=Message.Author.VISITOR, at__lt=before, seq__gt=OuterRef("last_reply")
    )
    moved = Move.objects.filter(conversation=OuterRef("pk"), at__gte=before)
    rows = _owned().annotate(last_reply=Coalesce(last_reply, 0))
    return rows.filter(Exists(asked)).exclude(Exists(moved)).order_by("handed_over_at")


def _owned() -> QuerySet[Conversation]:
    owned = Conversation.objects.filter(state=ConversationState.HUMAN)
    return owned.select_related("channel__assistant__team", "assignee")


def _without_rights() -> QuerySet[Conversation]:
    may_answer = Membership.objects.filter(
        team=OuterRef("channel__assistant__team"),
        user=OuterRef("assignee"),
        user__is_active=True,
        role__in=roles_with("inbox"),
    )
    return _owned().exclude(Exists(may_answer))


def _release(rows: Iterable[Conversation], reason: str) -> int:
    count = 0
    for conversation in rows:
        try:
            state.release(conversation, reason)
            count += 1
        except ConversationMovedOn:
            continue
    return count
