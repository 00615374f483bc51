"""Answers that a person may mean to send: the assistant's own candidates, then the nearest ones."""

from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Q, QuerySet

from assistants.answering.embedder import embed
from assistants.answering.language import detect_language
from assistants.answering.matching import match
from assistants.errors import EncoderUnavailable
from assistants.models import Answer, Assistant, Conversation, Message, Version, VersionStatus
from assistants.rules.matching import Situation, applies
from assistants.rules.specs import BUILT_IN

SHOWN = 3
FOUND = 8
LOOKED_BACK = 5  # Messages in a row by which a visitor may only have asked for a person.
MATCH_CACHE_SECONDS = 600


@dataclass(frozen=True)
class Suggestion:
    """An approved answer, and how likely it is meant."""

    answer: Answer
    probability: float


def find_question(conversation: Conversation) -> Message | None:
    """The newest thing the visitor wrote, but for asking for a person, which no answer answers."""
    messages = conversation.messages.filter(author=Message.Author.VISITOR).select_related(
        "decision"
    )
    newest = messages.order_by("-seq")[:LOOKED_BACK]
    questions = (one for one in newest if not applies(BUILT_IN.when, Situation(text=one.text)))
    return next(questions, None)


def suggest_answers(assistant: Assistant, question: Message) -> list[Suggestion]:
    """At most SHOWN, the likeliest first; from the decision on this question where there is one."""
    decision = getattr(question, "decision", None)
    decided = {one["key"]: one["probability"] for one in decision.candidates} if decision else {}
    suggestions = _usable(assistant, decided)
    if len(suggestions) < SHOWN:
        suggestions = _usable(assistant, {**_match(assistant, question), **decided})
    return sorted(suggestions, key=lambda one: -one.probability)[:SHOWN]


def search_answers(assistant: Assistant, text: str) -> QuerySet[Answer]:
    """Approved answers with this text in their key, their words or a question they answer."""
    text = text.replace("\0", "").strip()[:200]
    if not text:
        return Answer.objects.none()
    matching = Q(key__icontains=text) | Q(text__icontains=text) | Q(phrasings__text__icontains=text)
    rows = Answer.objects.usable().filter(matching, assistant=assistant)
    return rows.distinct().order_by("key")[:FOUND]


def find_usable_answer(assistant: Assistant, key: str) -> Answer | None:
    """The answer with this key, if it may be said to a customer now."""
    return Answer.objects.usable().filter(assistant=assistant, key=key.replace("\0", "")).first()


def _usable(assistant: Assistant, probabilities: dict[str, float]) -> list[Suggestion]:
    rows = Answer.objects.usable().filter(assistant=assistant, key__in=probabilities)
    return [Suggestion(answer, probabilities[answer.key]) for answer in rows]


def _match(assistant: Assistant, question: Message) -> dict[str, float]:
    """What the live version makes of it: {key: probability}. Nothing where it cannot be read."""
    live = Version.objects.filter(assistant=assistant, status=VersionStatus.LIVE)
    if (version := live.select_related("assistant").first()) is None:
        return {}
    key = f"assistants:suggested:{version.pk}:{question.conversation_id}:{question.seq}"
    if (known := cache.get(key)) is not None:
        return dict(known)
    decision = getattr(question, "decision", None)
    text = decision.question if decision else question.text
    try:
        vector = embed(version, [text])[0]
    except EncoderUnavailable:
        return {}
    language = detect_language(text, assistant.languages)
    matched = match(version, language, text, vector)
    probabilities = {one.key: one.probability for one in matched.candidates} if matched else {}
    cache.set(key, probabilities, MATCH_CACHE_SECONDS)
    return probabilities
