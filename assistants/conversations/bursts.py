"""Messages that a visitor sends in quick succession are one question, and are answered once.

Each is stored as it comes. Its request then waits for BURST_SECONDS: if another one came meanwhile,
that one answers for both; else it reads all that nobody has read yet. See decision 0023.
"""

import time

from django.db import transaction
from django.db.models import Max

from assistants.conversations import state
from assistants.models import Channel, Conversation, Message
from web.front.admission_queue import elsewhere

BURST_SECONDS = 0.8
KINDS = (Channel.Kind.WEB, Channel.Kind.WECHAT)


def read(conversation: Conversation, message: Message, *, is_whole: bool) -> str | None:
    """What is asked with this message; None where a later message is read with it.

    Only where people type: a program sends a whole question, as does who speaks, and waits for
    nothing.
    """
    if conversation.visitor_id is None or conversation.channel.kind not in KINDS:
        return message.text
    if not is_whole:
        with elsewhere():
            time.sleep(BURST_SECONDS)
    return _read_burst(conversation, message)


@transaction.atomic
def _read_burst(conversation: Conversation, message: Message) -> str | None:
    """All that nobody has read, up to this message; from now on it is read."""
    state.lock(conversation)
    waiting = conversation.messages.filter(author=Message.Author.VISITOR, decision=None)
    answered_by_people = conversation.messages.filter(author=Message.Author.PERSON)
    last = answered_by_people.aggregate(last=Max("seq"))["last"] or 0
    unread = list(waiting.filter(read_with=None, seq__gt=last).order_by("seq"))
    if message not in unread or unread[-1] != message:
        return None
    Message.objects.filter(pk__in=[one.pk for one in unread]).update(read_with=message)
    return "\n".join(one.text for one in unread)
