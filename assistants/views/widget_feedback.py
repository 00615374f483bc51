"""Endpoints of the widget besides questions: the visitor's identity, an e-mail address, a rating of
the conversation, and whether a reply helped."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from assistants.conversations import state
from assistants.conversations.feedback import record_feedback
from assistants.errors import InvalidConsultation
from assistants.mail.sending import can_write_to_visitors
from assistants.models import Conversation, ConversationState, Decision
from assistants.views.visitors import (
    Identity,
    current_conversation,
    identify,
    read_body,
    refuse,
    require_channel,
    visitor_of,
)
from web.errors import UserError

MAX_ATTRIBUTES_CHARS = 4_000
RATINGS = (1, 2, 3, 4, 5)


@csrf_exempt
@never_cache
@require_POST
def identity(request: HttpRequest, key: str) -> HttpResponse:
    """{id, hash, attributes, attributes_hash}: the visitor's identity, signed by the site's server.
    Returns the visitor's token."""
    try:
        channel, sent = require_channel(key), read_body(request)
        claimed = Identity(
            customer=str(sent.get("id", ""))[:200],
            hash=str(sent.get("hash", ""))[:64],
            attributes=str(sent.get("attributes") or "")[:MAX_ATTRIBUTES_CHARS],
            attributes_hash=str(sent.get("attributes_hash") or "")[:64],
        )
        return JsonResponse({"visitor": identify(channel, claimed)})
    except UserError as problem:
        return refuse(problem)


@csrf_exempt
@require_POST
def contact(request: HttpRequest, key: str) -> HttpResponse:
    """{email}: an address to which a person's reply is also sent."""
    try:
        channel = require_channel(key)
        _, visitor = visitor_of(channel, request)
        conversation = current_conversation(channel, visitor)
        if conversation is None or not may_leave_address(conversation):
            raise InvalidConsultation("No reply of a person is awaited here.")
        address = str(read_body(request).get("email", "")).strip()
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidConsultation("This is no e-mail address.", param="email") from None
        state.leave_address(conversation, address)
        return JsonResponse({"ok": True})
    except UserError as problem:
        return refuse(problem)


def may_leave_address(conversation: Conversation) -> bool:
    is_waiting = conversation.state in (ConversationState.WAITING, ConversationState.HUMAN)
    is_known = bool(conversation.contact)
    return is_waiting and not is_known and can_write_to_visitors(conversation.channel.assistant)


@csrf_exempt
@require_POST
def rating(request: HttpRequest, key: str) -> HttpResponse:
    """{csat}: a rating from 1 to 5 of a conversation that is over, or in which the assistant has
    answered. A 1 brings a person, while the assistant still answers."""
    try:
        channel = require_channel(key)
        _, visitor = visitor_of(channel, request)
        conversation = current_conversation(channel, visitor)
        csat = read_body(request).get("csat")
        answers = Decision.objects.filter(
            message__conversation=conversation, route__in=Decision.ANSWERED
        )
        if (
            conversation is None
            or not may_rate(conversation, is_answered=answers.exists())
            or type(csat) is not int
            or csat not in RATINGS
        ):
            raise InvalidConsultation(
                "Rate an answer, or a conversation that is over, from 1 to 5."
            )
        state.rate(conversation, csat)
        return JsonResponse({"ok": True})
    except UserError as problem:
        return refuse(problem)


def may_rate(conversation: Conversation, *, is_answered: bool) -> bool:
    """Once: when it is over, or while the assistant answers, after an answer."""
    is_over = conversation.state == ConversationState.CLOSED
    may_answer = conversation.state == ConversationState.BOT and is_answered
    return conversation.csat is None and (is_over or may_answer)


@csrf_exempt
@require_POST
def feedback(request: HttpRequest, key: str) -> HttpResponse:
    """{id, helpful}: whether a reply helped."""
    try:
        channel = require_channel(key)
        sent = read_body(request)
        try:
            decision = UUID(str(sent.get("id")))
        except ValueError:
            raise InvalidConsultation("Say which reply.", param="id") from None
        record_feedback(channel, decision, is_helpful=bool(sent.get("helpful")), csat=None)
        return JsonResponse({"ok": True})
    except UserError as problem:
        return refuse(problem)
