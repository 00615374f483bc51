"""One question of a visitor and the reply to it: admitted, masked, decided, kept.

Two short transactions; nothing is locked while the question is read. The second one looks again at
who owns the conversation, so that the assistant never speaks while a person answers.
"""

import hashlib
import math
import time
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db import transaction

from accounts.webhooks import secret_encryption
from assistants.answering.deciding import REFUSALS_BEFORE_HAND_OVER, decide
from assistants.answering.language import detect_language
from assistants.answering.limits import admit
from assistants.answering.masking import mask
from assistants.answering.outcome import Outcome, SourceQuote
from assistants.answering.spending import is_daily_budget_spent
from assistants.asking_token import asking_prefix
from assistants.consultations import storing
from assistants.consultations.lookups import find_live_version
from assistants.consultations.originals import seal_original
from assistants.consultations.shadow_request import enqueue_shadow_decision
from assistants.conversations import bursts, spoken, state
from assistants.conversations.auditing import is_drawn_for_audit
from assistants.conversations.metering import PAID_ROUTES, record_use
from assistants.conversations.situations import (
    Claims,
    read_captured,
    seal_captured,
    situation_of,
)
from assistants.conversations.spoken import Heard
from assistants.conversations.visitors import find_visitor
from assistants.errors import InvalidConsultation
from assistants.models import (
    Assistant,
    Channel,
    Conversation,
    ConversationState,
    Decision,
    Message,
    SpokenReply,
    Version,
    Visitor,
)
from assistants.rules.matching import Situation
from assistants.voice.audio import DEFAULT_FORMAT
from assistants.writing.answering import Listener
from assistants.writing.writers import settings_of, writer_of
from billing.pricing import UPSTREAM_SKU, VOICE_IN_SKU
from web.log_context import request_id

MAX_CHARS = 2_000
MAX_BEFORE = 3


@dataclass(frozen=True)
class Question:
    """What was asked, by whom. `visitor` is any name of the visitor; only its hash is kept.

    `audio` is a recording in place of `text`. `voice` is the format in which the reply is to be
    heard: "" for none, None for one where the question was spoken, too.
    """

    text: str = ""
    audio: bytes | None = None
    voice: str | None = None
    conversation_id: UUID | None = None
    visitor: str = ""
    language: str = ""
    external_id: str = ""
    address: str | None = None  # Of the visitor; None where the address is of a server.
    is_vouched_for: bool = False  # By a program with an API token, which limits its own visitors.
    contact: str = ""  # Where a person's reply is sent; see assistants.delivery.
    attributes: dict[str, str] = field(default_factory=dict)  # What the page says of the visitor.
    vouched: dict[str, str] = field(default_factory=dict)  # What the site's server signed of them.
    is_verified: bool = False  # Whether the site's server signed who the visitor is.
    locale: str = ""  # Of the visitor, such as "zh-CN".
    # {external id: text} of what was sent just before and may not have come yet: a browser sends
    # on several connections at once, and what was written first is to stand first.
    before: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What is said. `response` is empty while a person answers."""

    conversation: Conversation
    decision: Decision | None
    response: str
    route: str
    confidence: float
    handed_over: bool
    language: str
    version: int | None
    sources: list[SourceQuote] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    heard: str = ""  # The question as it was recognised, masked.
    voice_seconds: float = 0.0  # Of the recording.
    spoken: SpokenReply | None = None


def consult(channel: Channel, question: Question, say: Listener | None = None) -> Reply:
    """`say` hears each sentence that is written for it, checked, while the rest is being written.

    Raises InvalidConsultation, TooManyQuestions or AssistantNotLive, and for voice VoiceOff,
    InvalidAudio, AudioTooLarge, VoiceBusy or VoiceUnavailable; then nothing is kept or billed."""
    reply = _consult(channel, question, say)
    format_name = question.voice
    if format_name is None:
        format_name = DEFAULT_FORMAT if question.audio is not None else ""
    if reply.decision is None or not format_name:
        return reply
    words = "\n".join([reply.response, *reply.suggestions])
    return replace(reply, spoken=spoken.prepare_speech(reply.decision, words, format_name))


def _consult(channel: Channel, question: Question, say: Listener | None) -> Reply:
    started = time.perf_counter()
    text = clean_text(question.text) if question.audio is None else ""
    assistant = channel.assistant
    version = find_live_version(assistant)
    _require_voice(assistant, question)
    visitor_hash = hash_visitor(channel, question.visitor) if question.visitor else ""
    visitor = find_visitor(channel, visitor_hash)
    admit(channel, "" if question.is_vouched_for else visitor_hash, question.address)
    heard = None
    if question.audio is not None:
        if (stored := storing.find_stored(channel, question.external_id)) is not None:
            return _repeat(stored.conversation, stored)
        heard = spoken.hear(assistant, question.audio, question.language)
        text = clean_text(heard.text)
        visitor = find_visitor(channel, visitor_hash)  # Seconds later: blocked or erased meanwhile?
    masked = mask(text)
    language = question.language or detect_language(masked, assistant.languages)
    _receive_before(channel, version, visitor, language, question)
    conversation, message, is_new = _receive(channel, version, visitor, text, language, question)
    if not is_new:
        return _repeat(conversation, message)
    if conversation.state != ConversationState.BOT:
        return _with_heard(_stay_silent(conversation, language, version), message, heard)
    arrived = time.perf_counter()
    read = bursts.read(conversation, message, is_whole=heard is not None)
    if read is None:
        return _with_heard(_repeat(conversation, message), message, heard)
    started += time.perf_counter() - arrived
    if read != masked:
        masked, language = read, question.language or detect_language(read, assistant.languages)
    claims = Claims(question.attributes, question.vouched, question.is_verified)
    situation = situation_of(version, message, masked, language, claims, original=text)
    outcome = _decide(assistant, version, situation, conversation, say)
    outcome.step_ms["total"] = round((time.perf_counter() - started) * 1000, 2)
    outcome.question = outcome.question or masked
    reply = _keep(conversation, message, version, outcome, outcome.language or language, heard)
    if assistant.shadow_left and reply.decision is not None and outcome.reason != "budget":
        enqueue_shadow_decision(reply.decision, situation, asked_back=conversation.asked_back)
    return reply


def _decide(
    assistant: Assistant,
    version: Version,
    situation: Situation,
    conversation: Conversation,
    say: Listener | None,
) -> Outcome:
    if is_daily_budget_spent(assistant):
        return Outcome(Decision.Route.HAND_OVER, "", reason="budget")
    unless_taken = _unless_taken_over(conversation, say) if say else None
    return decide(version, situation, asked_back=conversation.asked_back, say=unless_taken)


def _unless_taken_over(conversation: Conversation, say: Listener) -> Listener:
    """Says nothing more once a person answers."""
    spoken_by_bot = Conversation.objects.filter(pk=conversation.pk, state=ConversationState.BOT)

    def say_if_ours(sentence: str) -> None:
        if spoken_by_bot.exists():
            say(sentence)

    return say_if_ours


def _require_voice(assistant: Assistant, question: Question) -> None:
    """Raises VoiceOff where the question cannot be heard, or the reply not be spoken as asked."""
    if question.audio is not None:
        spoken.require_hearing(assistant, question.language)
    if question.voice:
        spoken.require_speaking(assistant, question.language)


def clean_text(text: str) -> str:
    """The question without control characters. Raises InvalidConsultation."""
    text = printable(text)
    if not text:
        raise InvalidConsultation("Send a question as text.", param="text")
    if len(text) > MAX_CHARS:
        raise InvalidConsultation(
            f"A question may have {MAX_CHARS:,} characters; this one has {len(text):,}.",
            param="text",
        )
    return text


def printable(text: str) -> str:
    """The text without control characters, half characters and space around it."""
    text = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t").strip()
    return text.encode("utf-8", "replace").decode()


def hash_visitor(channel: Channel, visitor: str) -> str:
    return hashlib.sha256(f"{channel.pk}\0{visitor}".encode()).hexdigest()


def _receive_before(
    channel: Channel, version: Version, visitor: Visitor | None, language: str, question: Question
) -> None:
    """Store what was written before and has not come yet; its own request then finds it stored.
    That request counts it, and refuses what may not be said at all."""
    for external_id, sent in list(question.before.items())[-MAX_BEFORE:]:
        text = printable(sent)
        if 0 < len(text) <= MAX_CHARS:
            earlier = Question(visitor=question.visitor, external_id=external_id)
            _receive(channel, version, visitor, text, language, earlier)


def _receive(
    channel: Channel,
    version: Version,
    visitor: Visitor | None,
    text: str,
    language: str,
    question: Question,
) -> tuple[Conversation, Message, bool]:
    masked = mask(text)
    arrival = storing.Arrival(
        channel,
        version,
        masked,
        language,
        visitor_hash=hash_visitor(channel, question.visitor) if question.visitor else "",
        conversation_id=question.conversation_id,
        external_id=question.external_id,
        contact=secret_encryption.encrypt(question.contact) if question.contact else "",
        original=seal_original(channel.assistant, text, masked),
        locale=question.locale,
        is_verified=question.is_verified,
    )
    return storing.receive(arrival, visitor)


@transaction.atomic
def _keep(
    conversation: Conversation,
    message: Message,
    version: Version,
    outcome: Outcome,
    language: str,
    heard: Heard | None,
) -> Reply:
    """Store reply and decision, unless a person has taken over meanwhile."""
    locked = state.lock(conversation)
    if locked.state != ConversationState.BOT:
        return _with_heard(_stay_silent(locked, language, version), message, heard)
    is_refusal = outcome.route == Decision.Route.REFUSE
    refusals = locked.refusals_running + 1 if is_refusal else 0
    if refusals >= REFUSALS_BEFORE_HAND_OVER:
        outcome.route, outcome.reason = Decision.Route.HAND_OVER, "two_refusals"
    reply = _say(locked, outcome, language)
    decision = decision_of(message, version, outcome, language)
    changes = {"refusals_running": refusals, "version_id": version.pk}
    storing.keep_reply(locked, reply, decision, changes | remembered(locked, outcome))
    is_written = outcome.route == Decision.Route.WRITTEN and outcome.tokens
    if is_written and settings_of(version).url:
        record_use(version.assistant, UPSTREAM_SKU, f"written:{message.pk}", outcome.tokens)
    new_reply = Reply(
        conversation=locked,
        decision=decision,
        response=outcome.text,
        route=outcome.route,
        confidence=decision.confidence,
        handed_over=outcome.route == Decision.Route.HAND_OVER,
        language=language,
        version=version.number,
        sources=outcome.sources,
        suggestions=outcome.suggestions,
    )
    return _with_heard(new_reply, message, heard)


def remembered(locked: Conversation, outcome: Outcome) -> dict[str, object]:
    """What the conversation knows from now on."""
    goes_on = outcome.awaited is not None and outcome.route != Decision.Route.HAND_OVER
    known: dict[str, object] = {
        "asked_back": outcome.route == Decision.Route.ASK,
        "tags": sorted({*locked.tags, *outcome.tags}),
        "awaiting": vars(outcome.awaited) if goes_on else None,
    }
    if outcome.captured:
        known["captured"] = seal_captured({**read_captured(locked), **outcome.captured})
    return known


def _with_heard(reply: Reply, message: Message, heard: Heard | None) -> Reply:
    """The reply to a spoken question, whose seconds are billed if the assistant answered."""
    if heard is None:
        return reply
    if reply.route in PAID_ROUTES:
        assistant = message.channel.assistant
        record_use(assistant, VOICE_IN_SKU, f"voice-in:{message.pk}", math.ceil(heard.seconds))
    return replace(reply, heard=message.text, voice_seconds=heard.seconds)


def _say(locked: Conversation, outcome: Outcome, language: str) -> Message:
    """What is said; a hand-over says honestly whether somebody is there, and is stored at once."""
    channel = locked.channel
    if outcome.route != Decision.Route.HAND_OVER:
        return Message(channel=channel, author=Message.Author.BOT, text=outcome.text)
    message = state.hand_over(locked, outcome.reason, language=language, group=outcome.group)
    assert message is not None  # The row is locked, and the assistant's.
    outcome.text = message.text
    return message


def decision_of(message: Message, version: Version, outcome: Outcome, language: str) -> Decision:
    """Why this is said to the message, unsaved; its cost is what the writer's own provider asks for
    its tokens, whether or not they were said."""
    writer = writer_of(version) if outcome.tokens else None
    return Decision(
        message=message,
        version=version,
        route=outcome.route,
        language=language,
        candidates=outcome.candidates,
        confidence=min(1.0, max(0.0, outcome.confidence)),
        thresholds=outcome.thresholds,
        held_back=outcome.held_back,
        sources=[vars(source) for source in outcome.sources],
        tokens=outcome.tokens,
        tokens_written=outcome.tokens_written,
        cost_micro=(
            writer.price_micro(outcome.tokens - outcome.tokens_written, outcome.tokens_written)
            if writer
            else 0
        ),
        rule=outcome.rule,
        answer_key=outcome.answer_key,
        burst="" if outcome.question == message.text else outcome.question,
        step_ms=outcome.step_ms,
        request_id=request_id.get()[:60],
        token_prefix=asking_prefix.get(),
        for_audit=is_drawn_for_audit(version.assistant),
    )


def _stay_silent(conversation: Conversation, language: str, version: Version) -> Reply:
    return Reply(
        conversation=conversation,
        decision=None,
        response="",
        route="person",
        confidence=0.0,
        handed_over=True,
        language=language,
        version=version.number,
    )


def _repeat(conversation: Conversation, message: Message) -> Reply:
    """The reply to a message that came before; empty while it is being written."""
    read_with = message.read_with_id or message.pk
    decided = Decision.objects.filter(message=read_with).select_related("reply", "version")
    decision = decided.first()
    is_handed_over = conversation.state in (ConversationState.WAITING, ConversationState.HUMAN)
    if decision is None:
        return Reply(
            conversation, None, "", "pending", 0.0, is_handed_over, conversation.language, None
        )
    return Reply(
        conversation=conversation,
        decision=decision,
        response=decision.reply.text if decision.reply else "",
        route=decision.route,
        confidence=decision.confidence,
        handed_over=is_handed_over,
        language=decision.language,
        version=decision.version.number if decision.version else None,
    )
