"""What visitors say of replies: whether one helped, and a rating from 1 to 5."""

from uuid import UUID

from django.db import transaction

from assistants.conversations import state
from assistants.errors import InvalidConsultation
from assistants.models import Channel, Conversation, Decision, Judgement


@transaction.atomic
def record_feedback(
    channel: Channel, decision_id: UUID, *, is_helpful: bool | None, csat: int | None
) -> None:
    """Raises InvalidConsultation for a reply of another channel, or where nothing is said."""
    decision = (
        Decision.objects.filter(pk=decision_id, message__channel=channel)
        .select_related("message__conversation")
        .first()
    )
    if decision is None:
        raise InvalidConsultation("There is no such reply of this channel.", param="id")
    if is_helpful is None and csat is None:
        raise InvalidConsultation("Say whether the reply helped, or rate it.", param="helpful")
    conversation = decision.message.conversation
    if is_helpful is not None:
        verdict = Judgement.Verdict.RIGHT if is_helpful else Judgement.Verdict.WRONG
        Judgement.objects.get_or_create(
            decision=decision, defaults={"verdict": verdict, "by_visitor": True}
        )
    if csat is not None:
        Conversation.objects.filter(pk=conversation.pk).update(csat=None)  # The last one counts.
        state.rate(conversation, csat)
