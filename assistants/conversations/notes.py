"""Notes of people about a conversation."""

from django.db import transaction

from accounts.models import User
from assistants.conversations import state
from assistants.conversations.consulting import printable
from assistants.errors import InvalidConsultation
from assistants.models import Conversation, Note

MAX_CHARS = 4_000


@transaction.atomic
def add_note(conversation: Conversation, person: User, text: str) -> Note:
    """Raises InvalidConsultation where it is empty or too long."""
    text = printable(text)
    if not text or len(text) > MAX_CHARS:
        raise InvalidConsultation(f"A note has 1 to {MAX_CHARS:,} characters.", param="text")
    note = Note.objects.create(conversation=conversation, person=person, text=text)
    state.announce(conversation)
    return note
