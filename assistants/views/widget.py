"""The widget: the loader script, the frame that it opens, and the endpoints that the frame calls.

`frame-ancestors` decides which sites may embed the frame. A visitor is known by a signed token in
the frame's own storage; cookies and sessions are not used.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from assistants.answering.texts import text_of
from assistants.api.streams import stream_reply
from assistants.api.voice import audio_response
from assistants.conversations.consulting import Question, Reply, consult, hash_visitor
from assistants.conversations.situations import read_attributes
from assistants.conversations.spoken import find_spoken, open_speech
from assistants.errors import (
    AudioTooLarge,
    InvalidConsultation,
    UnknownAssistant,
    UnknownSpeech,
)
from assistants.models import (
    Assistant,
    Channel,
    Conversation,
    Decision,
    Message,
    SpokenReply,
)
from assistants.views.visitors import (
    VISITOR_HEADER,
    current_conversation,
    find_channel,
    is_expired,
    is_verified,
    issue_visitor,
    locale_of,
    read_body,
    read_token,
    read_vouched,
    refuse,
    require_channel,
    visitor_of,
)
from assistants.views.widget_feedback import may_leave_address, may_rate
from assistants.voice.audio import MAX_BYTES
from assistants.voice.engines import why_deaf, why_mute
from web.errors import UserError
from web.middleware import client_address
from web.streams.event_stream import visitor_stream_response

LOADER = (settings.BASE_DIR / "assistants/widget/loader.js").read_text(encoding="utf-8")
HISTORY = 100
LOADER_SECONDS = 300
MICROPHONE_MARK = "LATHE_ALLOW"  # What the loader lets the frame use.


@require_safe
def loader(request: HttpRequest, key: str) -> HttpResponse:
    """The script of the site's script tag. It allows the frame a microphone only where the
    assistant understands speech."""
    channel = find_channel(key)
    may_listen = channel is not None and _understands_speech(channel.assistant)
    script = LOADER.replace(MICROPHONE_MARK, '"microphone"' if may_listen else '""')
    response = HttpResponse(script, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = f"public, max-age={LOADER_SECONDS}"
    return response


@require_safe
@xframe_options_exempt
@never_cache
def frame(request: HttpRequest, key: str) -> HttpResponse:
    """The chat; an empty page that no site may embed where the channel is unknown, paused or has no
    origins."""
    channel = find_channel(key)
    origins = channel.allowed_origins if channel else []
    if channel is None or not origins or channel.assistant.state != Assistant.State.LIVE:
        response = HttpResponse("<!doctype html><title>Chat</title>")
        return _with_policy(response, "'none'")
    preferred = request.headers.get("Accept-Language", "")[:2].lower()
    language = (
        preferred
        if preferred in ("en", "zh") and preferred in channel.assistant.languages
        else "en"
    )
    words = {
        name: text_of(channel.assistant, name, language) for name in ("greeting", "disclosure")
    }
    voice = _voice_of(channel.assistant, language)
    # Issued before the first request, so that requests at the same time are of one visitor.
    token, _ = issue_visitor()
    context = {"channel": channel, "language": language, "voice": voice, "visitor": token, **words}
    page = render(request, "assistants/widget.html", context)
    return _with_policy(page, " ".join([*origins, "'self'"]), has_voice=voice is not None)


@require_safe
def sample(request: HttpRequest, key: str) -> HttpResponse:
    """A page like a customer's site, with the script tag."""
    channel = require_channel(key)
    return render(request, "assistants/sample.html", {"channel": channel})


def _with_policy(
    response: HttpResponse, ancestors: str, *, has_voice: bool = False
) -> HttpResponse:
    media = " media-src blob:;" if has_voice else ""
    response["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        f"{media} img-src 'self'; base-uri 'none'; form-action 'none';"
        f" frame-ancestors {ancestors}"
    )
    return response


def _understands_speech(assistant: Assistant) -> bool:
    """Whether visitors may speak in any of the assistant's languages."""
    if assistant.voice == Assistant.Voice.BROWSER:
        return True
    return any(not why_deaf(assistant, language) for language in assistant.languages)


def _voice_of(assistant: Assistant, language: str) -> dict[str, object] | None:
    """The voice settings for the frame's script; None where there is no voice."""
    if assistant.voice == Assistant.Voice.BROWSER:
        return {"kind": "browser"}
    hears, speaks = not why_deaf(assistant, language), not why_mute(assistant, language)
    return {"kind": "server", "hears": hears, "speaks": speaks} if hears or speaks else None


@csrf_exempt
@never_cache
def messages(request: HttpRequest, key: str) -> HttpResponseBase:
    """GET: the conversation so far. POST {text, id}, or a form with audio: a question, answered by
    the conversation, as an event stream where the client accepts one."""
    try:
        channel = require_channel(key)
        token, visitor = visitor_of(channel, request)
        if request.method == "POST":
            question = _read_question(request, channel, token, visitor)
            shape = _WidgetStream(channel, visitor, token)
            if "text/event-stream" in request.headers.get("Accept", ""):
                return stream_reply(channel, question, shape)
            return JsonResponse(shape.describe(consult(channel, question)))
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, POST"})
        history = {**_history(channel, visitor), "visitor": token, "suggestions": []}
        return JsonResponse({**history, "has_expired": is_expired(channel, token)})
    except UserError as problem:
        return refuse(problem)


@dataclass(eq=False)
class _WidgetStream:
    """Events for the frame: the reply's text in deltas, then the whole conversation."""

    _channel: Channel
    _visitor: str
    _token: str

    def describe(self, reply: Reply) -> dict[str, object]:
        return {
            **_history(self._channel, self._visitor),
            "visitor": self._token,
            "has_expired": is_expired(self._channel, self._token),
            "suggestions": _choices(self._channel, reply),
            "voice": None
            if reply.spoken is None
            else {"url": f"speech/{reply.spoken.token}", "format": reply.spoken.format},
        }

    def parts_of(self, described: dict[str, object]) -> list[str]:
        return []  # The conversation in the last event has the text.

    def delta(self, text: str) -> dict[str, object]:
        return {"delta": text}

    def last(self, described: dict[str, object]) -> Iterator[dict[str, object]]:
        yield described


def _choices(channel: Channel, reply: Reply) -> list[str]:
    """Texts that the visitor can send with a click: questions that may have been meant, and the
    request for a person, which the built-in rule recognises."""
    if reply.route not in (Decision.Route.ASK, Decision.Route.REFUSE):
        return reply.suggestions
    return [*reply.suggestions, text_of(channel.assistant, "person", reply.language)]


@require_safe
@never_cache
def speech(request: HttpRequest, key: str, token: str) -> HttpResponse:
    """A reply as audio, only for the visitor who got it."""
    try:
        channel = require_channel(key)
        visitor = read_token(channel, request.headers.get(VISITOR_HEADER, ""))
        reply = find_spoken(token)
        if visitor is None or reply is None or not _is_reply_to(reply, channel, visitor):
            raise UnknownSpeech
        return audio_response(open_speech(reply))
    except UserError as problem:
        return refuse(problem)


def _is_reply_to(reply: SpokenReply, channel: Channel, visitor: str) -> bool:
    asker = reply.message.conversation.visitor
    return (
        reply.message.channel_id == channel.pk
        and asker is not None
        and asker.external_hash == hash_visitor(channel, visitor)
    )


@require_safe
def stream(request: HttpRequest, key: str) -> HttpResponseBase:
    """An event stream that says when the visitor's conversation has a new message."""
    try:
        conversation = _open_conversation(key, request.GET.get("visitor", ""))
        assert conversation.visitor_id is not None  # Found by it.
        return visitor_stream_response(conversation.visitor_id, f"conversation:{conversation.pk}")
    except UserError as problem:
        return refuse(problem)


def _open_conversation(key: str, token: str) -> Conversation:
    channel = require_channel(key)
    visitor = read_token(channel, token)
    conversation = current_conversation(channel, visitor) if visitor else None
    if conversation is None:
        raise UnknownAssistant("There is no open conversation.")
    return conversation


def _read_question(request: HttpRequest, channel: Channel, token: str, visitor: str) -> Question:
    """The question in the request. Raises InvalidConsultation or AudioTooLarge."""
    audio = None
    if request.content_type == "multipart/form-data":
        file = request.FILES.get("audio")
        if not isinstance(file, UploadedFile) or file.size is None:
            raise InvalidConsultation("Send a recording as audio.", param="audio")
        if file.size > MAX_BYTES:
            raise AudioTooLarge
        sent: Mapping[str, object] = request.POST
        audio = file.read()
    else:
        sent = read_body(request)
    language = str(sent.get("language", ""))
    before = sent.get("before")
    return Question(
        text=str(sent.get("text", "")),
        audio=audio,
        voice="mp3" if sent.get("voice") is True else None,
        language=language if language in ("en", "zh") else "",
        visitor=visitor,
        external_id=_external_id(visitor, sent),
        address=client_address.get(),
        attributes=read_attributes(sent.get("metadata")),  # Which a page may forge.
        vouched=read_vouched(channel, token),
        is_verified=is_verified(visitor),
        locale=locale_of(request),
        before={
            external_id: str(earlier.get("text", ""))
            for earlier in (before if isinstance(before, list) else [])
            if isinstance(earlier, dict) and (external_id := _external_id(visitor, earlier))
        },
    )


def _external_id(visitor: str, sent: Mapping[str, object]) -> str:
    message_id = str(sent.get("id", ""))[:50]
    whose = hashlib.sha256(visitor.encode("utf-8", "replace")).hexdigest()[:40]
    return f"{whose}:{message_id}" if message_id else ""


def _history(channel: Channel, visitor: str) -> dict[str, object]:
    conversation = current_conversation(channel, visitor)
    if conversation is None:
        return {"conversation": None, "state": "bot", "messages": []}
    newest = Message.objects.filter(conversation=conversation).order_by("-seq")[:HISTORY]
    answers = Decision.objects.filter(
        message__conversation=conversation, route__in=Decision.ANSWERED
    )
    decided = {decision.reply_id: decision for decision in answers.only("pk", "reply_id")}
    conversation.channel = channel
    return {
        "conversation": str(conversation.pk),
        "state": conversation.state,
        "asks_for_rating": may_rate(conversation, is_answered=bool(decided)),
        "asks_for_address": may_leave_address(conversation),
        "messages": [
            {
                "seq": message.seq,
                "author": message.author,
                "text": message.text,
                "id": str(decided[message.pk].pk) if message.pk in decided else None,
            }
            for message in reversed(newest)
        ],
    }
