"""POST /v1/assistants/{name}/consult and /consult: one question, one reply."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypedDict
from uuid import UUID

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, views
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiTokenAuthentication, MissingScope
from accounts.models import ApiToken, TokenScope, scopes_within
from accounts.permissions import TokenNotAllowed
from assistants.api.shapes import ConsultedConversation, ConsultFeedback, ConsultReply
from assistants.api.streams import stream_reply
from assistants.api.voice import AnyAccepted, AudioField, VoiceField, audio_response
from assistants.asking_token import admit_token, require_allowed
from assistants.consultations.lookups import find_api_channel
from assistants.conversations.consulting import Question, Reply, consult
from assistants.conversations.feedback import record_feedback
from assistants.conversations.situations import LOCALE, read_attributes
from assistants.conversations.spoken import find_spoken, open_speech
from assistants.errors import UnknownAssistant, UnknownSpeech
from assistants.lifecycle import add_channel
from assistants.models import Assistant, Channel, Conversation
from assistants.rules.matching import VERIFIED
from web.idempotency.api import APIView
from web.middleware import client_address
from web.reference.hints import schema_of
from web.validation.fields import IntegerField

KEY_PREFIX = "ch_"


class ChannelOrTokenAuthentication(ApiTokenAuthentication):
    """request.auth is an ApiToken, or the Channel whose key was sent."""

    def authenticate(self, request: Request) -> Any:
        words = request.headers.get("Authorization", "").split()
        if len(words) == 2 and words[0].lower() == "bearer" and words[1].startswith(KEY_PREFIX):
            # Keys of other kinds of channels are public: they are in pages and addresses.
            channels = Channel.objects.filter(kind=Channel.Kind.API, disabled_at=None)
            channel = (
                channels.filter(public_key=words[1][:40]).select_related("assistant__team").first()
            )
            if channel is None:
                raise AuthenticationFailed(
                    "This key is not of an API channel, or the channel was removed."
                )
            return None, channel
        return super().authenticate(request)


class MayConsult(BasePermission):
    """A channel key, or a token with the scope `inference`."""

    def has_permission(self, request: Request, view: views.APIView) -> bool:
        if isinstance(request.auth, Channel):
            return True
        if not isinstance(request.auth, ApiToken):
            return False
        if TokenScope.INFERENCE not in request.auth.scopes:
            raise MissingScope(
                "This API token lacks the scope 'inference'. Create one that has it."
            )
        if TokenScope.INFERENCE not in scopes_within(
            request.auth.scopes, request.auth.creator_role
        ):
            raise TokenNotAllowed
        return True


class EventStreamRenderer(BaseRenderer):
    """Lets `Accept: text/event-stream` through content negotiation."""

    media_type, format = "text/event-stream", "event-stream"

    def render(self, data: Any, *_: Any, **__: Any) -> bytes:
        return json.dumps(data).encode()


class ConsultRequest(serializers.Serializer[Any]):
    """A question, as `text` or as `audio`. `visitor` is your own name for who asks; only its hash
    is kept. Of a recording only its text is kept."""

    text = serializers.CharField(max_length=100_000, trim_whitespace=False, required=False)
    audio = AudioField(required=False)
    voice = VoiceField(required=False)
    conversation = serializers.UUIDField(required=False, allow_null=True)
    visitor = serializers.CharField(max_length=200, required=False, allow_blank=True)
    language = serializers.CharField(max_length=8, required=False, allow_blank=True)
    message_id = serializers.CharField(max_length=100, required=False, allow_blank=True)
    metadata = serializers.DictField(
        required=False,
        help_text="What you know of the visitor, such as {'plan': 'gold'}: rules may ask for it. It"
        " is not kept. With {'verified': true} and an API token, you vouch for all of it.",
    )
    locale = serializers.RegexField(
        LOCALE,
        max_length=35,
        required=False,
        allow_blank=True,
        help_text="Of the visitor, such as zh-CN: people of the inbox see it.",
    )
    stream = serializers.BooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "text" in attrs and "audio" in attrs:
            raise serializers.ValidationError({"audio": "Send either text or audio, not both."})
        if "text" not in attrs and "audio" not in attrs:
            raise serializers.ValidationError({"text": "This field is required, or audio."})
        return attrs


class ReplyRating(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="Of the reply.")
    helpful = serializers.BooleanField(required=False, allow_null=True)
    csat = IntegerField(min_value=1, max_value=5, required=False, allow_null=True)


class ConsultView(APIView):
    """One question of a visitor."""

    authentication_classes = [ChannelOrTokenAuthentication]
    permission_classes = [MayConsult]
    renderer_classes = [JSONRenderer, EventStreamRenderer]

    @extend_schema(
        operation_id="consult",
        request={"application/json": ConsultRequest, "multipart/form-data": ConsultRequest},
        responses={
            (200, "application/json"): schema_of(ConsultReply),
            (200, "text/event-stream"): OpenApiTypes.STR,
        },
    )
    def post(self, request: Request, name: str | None = None) -> HttpResponseBase:
        body = ConsultRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        question = Question(
            text=sent.get("text", ""),
            audio=sent.get("audio"),
            voice=sent.get("voice"),
            conversation_id=sent.get("conversation"),
            visitor=sent.get("visitor", ""),
            language=sent.get("language", ""),
            external_id=_external_id(sent),
            locale=sent.get("locale", ""),
            **claims_in(request, sent.get("metadata")),
        )
        channel = find_channel(request.auth, name)
        admit_caller(request.auth)
        if sent["stream"] or "text/event-stream" in request.headers.get("Accept", ""):
            return stream_reply(channel, question, _ConsultStream())
        return Response(describe(consult(channel, question)))


class FeedbackView(APIView):
    """Whether a reply helped."""

    authentication_classes = [ChannelOrTokenAuthentication]
    permission_classes = [MayConsult]

    @extend_schema(
        operation_id="rate_reply", request=ReplyRating, responses={200: schema_of(ConsultFeedback)}
    )
    def post(self, request: Request, name: str | None = None) -> Response:
        body = ReplyRating(data=request.data)
        body.is_valid(raise_exception=True)
        channel = find_channel(request.auth, name)
        record_feedback(
            channel,
            body.validated_data["id"],
            is_helpful=body.validated_data.get("helpful"),
            csat=body.validated_data.get("csat"),
        )
        return Response({"object": "assistant.feedback", "id": str(body.validated_data["id"])})


class ConversationView(APIView):
    """What was said in a conversation of this assistant."""

    authentication_classes = [ChannelOrTokenAuthentication]
    permission_classes = [MayConsult]

    @extend_schema(
        operation_id="read_consulted_conversation",
        responses={200: schema_of(ConsultedConversation)},
    )
    def get(self, request: Request, name: str, conversation_id: UUID) -> Response:
        channel = find_channel(request.auth, name)
        conversation = Conversation.objects.filter(pk=conversation_id, channel=channel).first()
        if conversation is None:
            raise UnknownAssistant("There is no such conversation of this channel.")
        return Response(
            {
                "object": "assistant.conversation",
                "id": str(conversation.pk),
                "state": conversation.state,
                "messages": [
                    {"seq": message.seq, "author": message.author, "text": message.text}
                    for message in conversation.messages.all()
                ],
            }
        )


class SpeechView(APIView):
    """A reply as audio, which is made when it is first fetched and kept for 24 hours."""

    authentication_classes = [ChannelOrTokenAuthentication]
    permission_classes = [MayConsult]
    content_negotiation_class = AnyAccepted

    @extend_schema(operation_id="read_speech", responses={(200, "audio/mpeg"): OpenApiTypes.BINARY})
    def get(self, request: Request, name: str, token: str) -> HttpResponseBase:
        reply = find_spoken(token)
        if reply is None or reply.message.channel_id != find_channel(request.auth, name).pk:
            raise UnknownSpeech
        admit_caller(request.auth)
        return audio_response(open_speech(reply))


class VisitorClaims(TypedDict):
    """What a question says about its visitor, and who answers for them."""

    address: str | None
    is_vouched_for: bool
    attributes: dict[str, str]
    vouched: dict[str, str]
    is_verified: bool


def claims_in(request: Request, metadata: object) -> VisitorClaims:
    """The claims in a question's metadata. With an API token, `verified` vouches for all of them; a
    channel's key may be public, so that its claims are never vouched for, and who asks with it is
    limited by visitor and address."""
    attributes = read_attributes(metadata)
    has_token = isinstance(request.auth, ApiToken)
    is_verified = has_token and attributes.get(VERIFIED) == "true"
    return {
        "address": None if has_token else client_address.get(),
        "is_vouched_for": has_token,
        "attributes": attributes,
        "vouched": attributes if is_verified else {},
        "is_verified": is_verified,
    }


def admit_caller(auth: object) -> None:
    """Hold an API token to its limits. Raises TokenBudgetSpent or TooManyRequests."""
    if isinstance(auth, ApiToken):
        admit_token(auth)


def _external_id(sent: dict[str, Any]) -> str:
    """An id for the message that is unique to its visitor, or else to its conversation, whose own
    ids may be as short as "1"."""
    if not sent.get("message_id"):
        return ""
    whose = sent.get("visitor") or sent.get("conversation") or ""
    return hashlib.sha256(f"{whose}\0{sent['message_id']}".encode()).hexdigest()


def find_channel(auth: object, name: str | None) -> Channel:
    """The channel that a credential asks through. Raises UnknownAssistant or ModelNotAllowed."""
    if isinstance(auth, Channel):
        if name is not None and auth.assistant.name != name:
            raise UnknownAssistant
        return auth
    assert isinstance(auth, ApiToken)
    if name is None:
        raise UnknownAssistant("With an API token, ask at /v1/assistants/{name}/consult.")
    require_allowed(auth, name)
    if (channel := find_api_channel(auth.team_id, name)) is not None:
        return channel
    assistants = Assistant.objects.current().filter(team=auth.team_id, name=name)
    assistant = assistants.select_related("team").first()
    if assistant is None:
        raise UnknownAssistant
    return add_channel(assistant, Channel.Kind.API, auth, name="API")


def describe(reply: Reply) -> dict[str, object]:
    """The reply as the API sends it."""
    return {
        "object": "assistant.reply",
        "id": str(reply.decision.pk) if reply.decision else None,
        "conversation": str(reply.conversation.pk),
        "response": reply.response,
        "voice": _describe_voice(reply),
        "heard": reply.heard or None,
        "sources": [vars(source) for source in reply.sources],
        "suggestions": reply.suggestions,
        "answer": reply.decision.answer_key or None if reply.decision else None,
        "confidence": round(reply.confidence, 4),
        "route": reply.route,
        "handed_over": reply.handed_over,
        "language": reply.language,
        "version": reply.version,
        "usage": {
            "tokens": reply.decision.tokens if reply.decision else 0,
            "voice_seconds": reply.voice_seconds,
            "cost_micros": reply.decision.cost_micro if reply.decision else 0,
        },
    }


def _describe_voice(reply: Reply) -> dict[str, object] | None:
    """The reply's audio. `seconds` is None until the audio is made, when it is first fetched."""
    if reply.spoken is None:
        return None
    assistant, spoken = reply.conversation.channel.assistant, reply.spoken
    path = f"/v1/assistants/{assistant.name}/speech/{spoken.token}"
    seconds = round(spoken.speech.seconds, 2) if spoken.speech else None
    return {"url": settings.PUBLIC_URL + path, "format": spoken.format, "seconds": seconds}


class _ConsultStream:
    """Events of this API: the text in deltas, then the whole reply."""

    describe = staticmethod(describe)

    def parts_of(self, described: dict[str, object]) -> list[str]:
        return str(described["response"]).splitlines(keepends=True)

    def delta(self, text: str) -> dict[str, object]:
        return {"object": "assistant.reply.delta", "delta": text}

    def last(self, described: dict[str, object]) -> Iterator[dict[str, object]]:
        yield described
