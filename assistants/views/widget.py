"""The widget: a loader for one script tag, the frame it opens, and what the frame asks.

Whoever embeds the frame is decided by its `frame-ancestors`; who writes is a visitor known by a
signed token in the frame's own storage. Neither cookies nor sessions are used.
"""

import json
import secrets
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from assistants.answering.texts import text_of
from assistants.conversations.consulting import Question, consult, hash_visitor
from assistants.conversations.feedback import record_feedback
from assistants.errors import InvalidConsultation, UnknownAssistant
from assistants.models import Assistant, Channel, Conversation, Decision, Message
from web.errors import UserError
from web.middleware import client_address
from web.streams.event_stream import visitor_stream_response
from web.validation.values import require_json

LOADER = (settings.BASE_DIR / "assistants/widget/loader.js").read_text(encoding="utf-8")
VISITOR_HEADER = "X-Lathe-Visitor"
VISITOR_SALT = "assistants.visitor"
HISTORY = 100
RATED = (Decision.Route.ANSWER, Decision.Route.WRITTEN, Decision.Route.QUOTE)
LOADER_SECONDS = 300


@require_safe
def loader(request: HttpRequest, key: str) -> HttpResponse:
    """The script of the site's one tag; the same for every key, known or not."""
    response = HttpResponse(LOADER, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = f"public, max-age={LOADER_SECONDS}"
    return response


@require_safe
@xframe_options_exempt
@never_cache
def frame(request: HttpRequest, key: str) -> HttpResponse:
    """The chat. Unknown, paused or without origins: an empty page that nobody may embed."""
    channel = _find_channel(key)
    origins = channel.allowed_origins if channel else []
    if channel is None or not origins or channel.assistant.state != Assistant.State.LIVE:
        response = HttpResponse("<!doctype html><title>Chat</title>")
        return _with_policy(response, "'none'")
    language = _language_of(request, channel.assistant)
    words = {
        name: text_of(channel.assistant, name, language) for name in ("greeting", "disclosure")
    }
    context = {"channel": channel, "language": language, **words}
    return _with_policy(
        render(request, "assistants/widget.html", context), " ".join([*origins, "'self'"])
    )


@require_safe
def sample(request: HttpRequest, key: str) -> HttpResponse:
    """A page as a customer's site would be, with the one script tag."""
    channel = _require_channel(key)
    return render(request, "assistants/sample.html", {"channel": channel})


def _with_policy(response: HttpResponse, ancestors: str) -> HttpResponse:
    response["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        f" img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    )
    return response


@csrf_exempt
@never_cache
def messages(request: HttpRequest, key: str) -> HttpResponse:
    """GET: what was said so far. POST {text, id}: a question; answers with what is new."""
    try:
        channel = _require_channel(key)
        token, visitor = _visitor_of(request)
        suggestions: list[str] = []
        if request.method == "POST":
            sent = _read_body(request)
            question = Question(
                text=str(sent.get("text", "")),
                visitor=visitor,
                external_id=f"{visitor[:40]}:{str(sent.get('id', ''))[:50]}"
                if sent.get("id")
                else "",
                address=client_address.get(),
            )
            suggestions = consult(channel, question).suggestions
        elif request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, POST"})
        return JsonResponse(
            {**_history(channel, visitor), "visitor": token, "suggestions": suggestions}
        )
    except UserError as problem:
        return JsonResponse({"error": problem.sentence}, status=problem.status)


@csrf_exempt
@require_POST
def feedback(request: HttpRequest, key: str) -> HttpResponse:
    """{id, helpful}: whether a reply helped."""
    try:
        channel = _require_channel(key)
        _visitor_of(request)
        sent = _read_body(request)
        try:
            decision = UUID(str(sent.get("id")))
        except ValueError:
            raise InvalidConsultation("Say which reply.", param="id") from None
        record_feedback(channel, decision, is_helpful=bool(sent.get("helpful")), csat=None)
        return JsonResponse({"ok": True})
    except UserError as problem:
        return JsonResponse({"error": problem.sentence}, status=problem.status)


@require_safe
async def stream(request: HttpRequest, key: str) -> HttpResponseBase:
    """Says when something new was said in the visitor's conversation."""
    try:
        conversation = await sync_to_async(_open_conversation)(key, request.GET.get("visitor", ""))
        assert conversation.visitor_id is not None  # Found by it.
        return visitor_stream_response(conversation.visitor_id, f"conversation:{conversation.pk}")
    except UserError as problem:
        return JsonResponse({"error": problem.sentence}, status=problem.status)


def _open_conversation(key: str, token: str) -> Conversation:
    channel = _require_channel(key)
    visitor = _read_token(token)
    found = _current(channel, visitor) if visitor else None
    if found is None:
        raise UnknownAssistant("There is no open conversation.")
    return found


def _find_channel(key: str) -> Channel | None:
    channels = Channel.objects.filter(kind=Channel.Kind.WEB, disabled_at=None)
    return channels.filter(public_key=key[:40]).select_related("assistant__team").first()


def _require_channel(key: str) -> Channel:
    channel = _find_channel(key)
    if channel is None:
        raise UnknownAssistant
    return channel


def _visitor_of(request: HttpRequest) -> tuple[str, str]:
    """The visitor's token and name; new ones for who has none."""
    token = request.headers.get(VISITOR_HEADER, "")
    visitor = _read_token(token)
    if visitor is None:
        visitor = secrets.token_urlsafe(18)
        token = signing.dumps(visitor, salt=VISITOR_SALT)
    return token, visitor


def _read_token(token: str) -> str | None:
    try:
        return str(signing.loads(token, salt=VISITOR_SALT))
    except signing.BadSignature:
        return None


def _read_body(request: HttpRequest) -> dict[str, object]:
    try:
        sent = json.loads(request.body)
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise InvalidConsultation("Send a JSON object.")
    require_json(sent)
    return sent


def _current(channel: Channel, visitor: str) -> Conversation | None:
    rows = Conversation.objects.filter(
        channel=channel, visitor__external_hash=hash_visitor(channel, visitor)
    )
    return rows.order_by("-opened_at").first()


def _history(channel: Channel, visitor: str) -> dict[str, object]:
    conversation = _current(channel, visitor)
    if conversation is None:
        return {"state": "bot", "messages": []}
    said = Message.objects.filter(conversation=conversation).order_by("-seq")[:HISTORY]
    decided = {decision.reply_id: decision for decision in conversation_decisions(conversation)}
    return {
        "state": conversation.state,
        "messages": [
            {
                "seq": message.seq,
                "author": message.author,
                "text": message.text,
                "id": str(decided[message.pk].pk) if message.pk in decided else None,
            }
            for message in reversed(said)
        ],
    }


def conversation_decisions(conversation: Conversation) -> list[Decision]:
    """The decisions whose replies were answers, which a visitor may rate."""
    rows = Decision.objects.filter(message__conversation=conversation, route__in=RATED)
    return list(rows.only("pk", "reply_id"))


def _language_of(request: HttpRequest, assistant: Assistant) -> str:
    wanted = request.headers.get("Accept-Language", "")[:2].lower()
    return wanted if wanted in ("en", "zh") and wanted in assistant.languages else "en"
