"""What people's replies teach: a suggestion that was sent, and words of their own as a draft."""

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.text import slugify
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from assistants.answering.masking import mask
from assistants.answering.suggestions import find_question, find_usable_answer
from assistants.conversations import state
from assistants.conversations.consulting import printable
from assistants.errors import InvalidConsultation, JudgedAlready
from assistants.knowledge.answers import write_answer
from assistants.knowledge.phrasings import add_phrasing
from assistants.models import (
    Answer,
    Assistant,
    Conversation,
    Decision,
    Judgement,
    Message,
    Phrasing,
)
from assistants.review.judging import judge

MAX_CHARS = 4_000  # Of an answer, which may be sent as it is.
KEY_CHARS = 60
Verdict = Judgement.Verdict


@transaction.atomic
def send_reply(
    conversation: Conversation,
    person: User,
    text: str,
    *,
    answer_key: str = "",
    question_seq: int | None = None,
) -> Message:
    """Say it as this person, and keep what it says about the assistant's decision.

    `answer_key` names the answer that the text was made from. `question_seq` is the number of the
    message that the person saw as the question; without it the newest one is. Raises
    ConversationMovedOn or InvalidConsultation.
    """
    message = state.reply(conversation, person, clean_reply(text))
    question = find_question(conversation)
    if question_seq is not None and (question is None or question.seq != question_seq):
        questions = conversation.messages.filter(author=Message.Author.VISITOR)
        question = questions.select_related("decision").filter(seq=question_seq).first()
    decision = getattr(question, "decision", None)
    if decision is not None and not decision.rule:  # A rule decided as somebody wanted it.
        assistant = conversation.channel.assistant
        answer = find_usable_answer(assistant, answer_key) if answer_key else None
        _keep_judgement(assistant, decision, person, message.text, answer)
    return message


def clean_reply(text: str) -> str:
    """The text without control characters. Raises InvalidConsultation."""
    text = printable(text)
    if not text:
        raise InvalidConsultation("Write a reply.", param="text")
    if len(text) > MAX_CHARS:
        raise InvalidConsultation(
            f"A reply may have {MAX_CHARS:,} characters; this one has {len(text):,}.", param="text"
        )
    return text


def _keep_judgement(
    assistant: Assistant, decision: Decision, person: User, text: str, answer: Answer | None
) -> None:
    """Once a decision. Words of one's own wait for a review, and give way to an answer."""
    is_answered = decision.route in Decision.ANSWERED
    before = Judgement.objects.filter(decision=decision).first()
    if before is not None and before.awaits_review:
        if answer is None:
            before.text = f"{before.text}\n\n{mask(text)}"
            before.save(update_fields=["text"])
            return
        before.delete()
    elif before is not None and not (before.by_visitor and before.verdict == Verdict.WRONG):
        return
    if answer is None and is_answered:
        return  # That a person wrote does not say that the assistant's answer was wrong.
    is_unchanged = answer is not None and text == printable(answer.text)
    try:
        judge(
            assistant,
            decision.pk,
            _verdict_on(decision, answer),
            person,
            answer_key=answer.key if answer else "",
            text="" if is_unchanged else mask(text),
            teaches=is_unchanged,
            is_audit=decision.for_audit,
        )
    except JudgedAlready:  # By somebody else an instant ago.
        return


def _verdict_on(decision: Decision, answer: Answer | None) -> str:
    if decision.route not in Decision.ANSWERED:
        return Verdict.SHOULD_HAVE_ANSWERED
    is_same = answer is not None and answer.key == decision.answer_key
    return Verdict.RIGHT if is_same else Verdict.WRONG


def pending_replies(assistant: Assistant) -> QuerySet[Judgement]:
    """What people wrote in words of their own, and nobody has looked at; newest first."""
    rows = Judgement.objects.awaiting_review().filter(
        decision__message__channel__assistant=assistant
    )
    return rows.select_related("decision__message", "person").order_by("-at")


@transaction.atomic
def draft_answer(assistant: Assistant, judgement_id: int, by: User | ApiToken) -> Answer:
    """A draft of the reply's words, found by its question once somebody approves it.

    A question of the random audit measures, and is no phrasing of it.
    """
    judgement = _lock_pending(assistant, judgement_id)
    question, language = judgement.decision.question, judgement.decision.language
    key = slugify(question)[:KEY_CHARS].strip("-") or f"reply-{judgement.pk}"
    if assistant.answers.filter(key=key).exists():
        key = f"{key}-{judgement.pk}"
    answer = write_answer(assistant, key, judgement.text, language, by)
    if not judgement.is_audit:
        add_phrasing(answer, question, Phrasing.Origin.CORRECTION)
        judgement.taught_at = now()
    judgement.answer, judgement.reviewed_at = answer, now()
    judgement.save(update_fields=["answer", "taught_at", "reviewed_at"])
    return answer


@transaction.atomic
def dismiss_reply(assistant: Assistant, judgement_id: int, by: User | ApiToken) -> None:
    """Make nothing of it. Raises Http404 where it does not wait for a review."""
    judgement = _lock_pending(assistant, judgement_id)
    judgement.reviewed_at = now()
    judgement.save(update_fields=["reviewed_at"])
    audit.record(assistant.team, by, "assistant.reply-dismissed", assistant.name)


def _lock_pending(assistant: Assistant, judgement_id: int) -> Judgement:
    rows = pending_replies(assistant).select_for_update(of=("self",))
    return get_object_or_404(rows, pk=judgement_id)
