"""Judges decisions, and teaches what was judged."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.notifications.publish import publish_to_programs
from accounts.permissions import person_behind
from assistants.errors import InvalidConsultation, JudgedAlready
from assistants.knowledge.phrasings import add_phrasing
from assistants.models import Answer, Assistant, Decision, Judgement, Phrasing
from assistants.review.promise import check_promise


@transaction.atomic
def judge(
    assistant: Assistant,
    decision_id: UUID,
    verdict: str,
    by: User | ApiToken,
    *,
    answer_key: str = "",
    text: str = "",
    teaches: bool = True,
    is_audit: bool = False,
) -> Judgement:
    """Say whether a decision was right. A person's judgement replaces the visitor's.

    A question that should have got an answer becomes a phrasing of it if it `teaches`, except in
    the audit, whose questions measure and therefore never teach. `text` is what a person said
    instead. Raises JudgedAlready or InvalidConsultation.
    """
    decision = get_object_or_404(
        Decision.objects.select_related("message"),
        pk=decision_id,
        message__channel__assistant=assistant,
    )
    answer = find_answer(assistant, answer_key) if answer_key else None
    if is_audit and not decision.for_audit:
        raise InvalidConsultation("This decision was not drawn for the audit.", param="is_audit")
    judgement = Judgement(decision=decision, person=person_behind(by), verdict=verdict, text=text)
    judgement.answer, judgement.is_audit = answer, is_audit
    _store(judgement)
    is_lesson = teaches and verdict != Judgement.Verdict.RIGHT and not is_audit
    if answer is not None and is_lesson:
        add_phrasing(answer, decision.question, Phrasing.Origin.CORRECTION)
        judgement.taught_at = now()
        judgement.save(update_fields=["taught_at"])
    if is_audit:
        check_promise(assistant)
    if answer is not None and verdict != Judgement.Verdict.RIGHT:
        _tell_programs(assistant, judgement, answer)
    audit.record(assistant.team, by, "assistant.judged", assistant.name, verdict=verdict)
    return judgement


def _store(judgement: Judgement) -> None:
    """In place of the visitor's. Raises JudgedAlready."""
    Judgement.objects.filter(decision=judgement.decision, by_visitor=True).delete()
    try:
        with transaction.atomic():
            judgement.save(force_insert=True)
    except IntegrityError:
        raise JudgedAlready from None


def _tell_programs(assistant: Assistant, judgement: Judgement, answer: Answer) -> None:
    decision = judgement.decision
    publish_to_programs(
        assistant.team,
        "answer.corrected",
        f"A person corrected what {assistant.name} said: “{answer.key}” is right.",
        url=f"/conversations/{decision.message.conversation_id}/",
        data={"decision": str(decision.pk), "answer": answer.key, "verdict": judgement.verdict},
    )


def find_answer(assistant: Assistant, key: str) -> Answer:
    """Raises InvalidConsultation with the key that does not exist."""
    answer = assistant.answers.filter(key=key).exclude(state=Answer.State.RETIRED).first()
    if answer is None:
        raise InvalidConsultation(f"There is no answer with the key {key!r}.", param="answer")
    return answer
