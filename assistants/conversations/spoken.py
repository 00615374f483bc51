"""Questions that were spoken, and replies that may be heard.

A recording is decoded, recognised and forgotten: only its text is kept, masked as a written one. A
reply is spoken when it is first fetched, and the same words are spoken once a day.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from assistants.answering.limits import admit_speech
from assistants.answering.spending import is_daily_budget_spent
from assistants.conversations.metering import PAID_ROUTES, record_use
from assistants.errors import InvalidAudio, VoiceOff, VoiceUnavailable
from assistants.models import Assistant, Decision, Speech, SpokenReply
from assistants.voice.audio import MAX_SPOKEN_SECONDS, convert, read_recording
from assistants.voice.engines import engine_of, why_deaf, why_mute
from assistants.voice.wording import spoken_words
from billing.budgets.budget import get_budget
from billing.pricing import VOICE_OUT_SKU
from web.database.pool import lend_connection

KEPT = timedelta(hours=24)
BUDGET_SPENT = "This assistant's budget for today is spent on voice, too. Write your question."
NOT_HEARD = "No words were recognised in this recording. Say it again, or write it."


@dataclass(frozen=True)
class Heard:
    """What was said in a recording, and how long it took."""

    text: str
    seconds: float


def require_hearing(assistant: Assistant, language: str) -> None:
    """Raises VoiceOff with the reason where a recording in this language cannot be heard."""
    if reason := why_deaf(assistant, _language_said(assistant, language)):
        raise VoiceOff(reason, param="audio")


def require_speaking(assistant: Assistant, language: str) -> None:
    """Raises VoiceOff with the reason where replies in this language, or where nobody said which
    in any of the assistant's, cannot be spoken."""
    languages = [language] if language else assistant.languages or ["en"]
    reasons = [why_mute(assistant, code) for code in languages]
    if all(reasons):
        raise VoiceOff(reasons[0], param="voice")


def hear(assistant: Assistant, audio: bytes, language: str) -> Heard:
    """Recognise a recording. Raises InvalidAudio, AudioTooLarge, VoiceBusy or VoiceUnavailable."""
    engine = engine_of(assistant)
    if engine is None:
        raise VoiceOff("This assistant has no voice on the server. Send text.", param="audio")
    _require_money(assistant)
    lend_connection()  # For the seconds that this takes.
    recording = read_recording(audio)
    text = engine.hear(recording, _language_said(assistant, language)).strip()
    if not any(letter.isalnum() for letter in text):
        raise InvalidAudio(NOT_HEARD, param="audio")
    return Heard(text, recording.seconds)


def prepare_speech(decision: Decision, text: str, format_name: str) -> SpokenReply | None:
    """Let the asker fetch this reply as audio; None where it has no words or no voice."""
    reply = decision.reply
    words = spoken_words(text)
    if reply is None or not words or why_mute(reply.channel.assistant, decision.language):
        return None
    spoken, _ = SpokenReply.objects.get_or_create(
        message=reply,
        format=format_name,
        defaults={
            "token": secrets.token_urlsafe(32),
            "language": decision.language,
            "text": words,
            "is_billed": decision.route in PAID_ROUTES,
        },
    )
    if spoken.speech is None:
        spoken.speech = _find_speech(reply.channel.assistant, spoken)
    return spoken


def find_spoken(token: str) -> SpokenReply | None:
    """The reply at this address, while it is kept."""
    rows = SpokenReply.objects.filter(token=token, created_at__gt=now() - KEPT)
    return rows.select_related(
        "message__channel__assistant__team", "message__conversation__visitor", "speech"
    ).first()


def open_speech(spoken: SpokenReply) -> Speech:
    """The audio, made now where it was not made before. Raises VoiceOff, VoiceBusy or
    VoiceUnavailable."""
    assistant = spoken.message.channel.assistant
    speech = spoken.speech or _find_speech(assistant, spoken)
    if speech is None:
        admit_speech(spoken.token)
        _require_money(assistant)
        speech = _make_speech(assistant, spoken)
    SpokenReply.objects.filter(pk=spoken.pk, speech=None).update(speech=speech)
    return speech


def delete_expired() -> int:
    """Audio and addresses that are older than KEPT."""
    spoken, _ = SpokenReply.objects.filter(created_at__lte=now() - KEPT).delete()
    speech, _ = Speech.objects.filter(made_at__lte=now() - KEPT).delete()
    return spoken + speech


def _make_speech(assistant: Assistant, spoken: SpokenReply) -> Speech:
    engine = engine_of(assistant)
    if engine is None:
        raise VoiceOff("This assistant speaks no more.")
    lend_connection()  # For the seconds that this takes.
    audio = engine.speak(spoken.text, spoken.language, spoken.format)
    try:
        content, seconds = convert(audio, spoken.format, MAX_SPOKEN_SECONDS)
    except InvalidAudio as problem:
        raise VoiceUnavailable("What speaks for this assistant sent no audio.") from problem
    digest = _digest(assistant, spoken)
    with transaction.atomic():
        Speech.objects.filter(
            assistant=assistant, digest=digest, made_at__lte=now() - KEPT
        ).delete()
        speech, is_new = Speech.objects.get_or_create(
            assistant=assistant,
            digest=digest,
            defaults={"format": spoken.format, "seconds": seconds, "content": content},
        )
        if is_new and spoken.is_billed:
            record_use(assistant, VOICE_OUT_SKU, f"voice-out:{speech.pk}", len(spoken.text))
    return speech


def _find_speech(assistant: Assistant, spoken: SpokenReply) -> Speech | None:
    if engine_of(assistant) is None:
        return None
    rows = Speech.objects.filter(assistant=assistant, digest=_digest(assistant, spoken))
    return rows.filter(made_at__gt=now() - KEPT).first()


def _digest(assistant: Assistant, spoken: SpokenReply) -> str:
    engine = engine_of(assistant)
    identity = engine.identity if engine else ""
    parts = (assistant.voice, identity, spoken.language, spoken.format, spoken.text)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _language_said(assistant: Assistant, language: str) -> str:
    """The language of a recording; "" where the assistant has several and nobody said which."""
    return language or (assistant.default_language if len(assistant.languages) == 1 else "")


def _require_money(assistant: Assistant) -> None:
    if is_daily_budget_spent(assistant):
        raise VoiceUnavailable(BUDGET_SPENT)
    if not get_budget(assistant.team).can_spend:
        raise VoiceUnavailable
