"""Versions and decisions that tests begin with."""

from assistants.models import Conversation, Decision, Message, Version
from assistants.versions import building


def learn(assistant, alice) -> Version:
    version = building.create_version(assistant, alice)
    assert building.build_pending() == 1
    version.refresh_from_db()
    assert version.status == "measured", version.failure_sentence
    return version


def record(assistant, version, text, route="refuse", key="", *, for_audit=False) -> Decision:
    """A decision on a question, as consulting keeps it."""
    talk = Conversation.objects.create(channel=assistant.channels.get(), version=version)
    message = Message.objects.create(
        conversation=talk, channel=talk.channel, seq=1, author="visitor", text=text
    )
    return Decision.objects.create(
        message=message, version=version, route=route, answer_key=key, for_audit=for_audit
    )
