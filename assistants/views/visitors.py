"""Who asks in the widget's frame: the channel of its key, the visitor of a signed token."""

import hashlib
import hmac
import json
import secrets

from django.core import signing
from django.http import HttpRequest, JsonResponse
from django.utils.crypto import salted_hmac

from assistants.conversations.consulting import hash_visitor
from assistants.errors import InvalidConsultation, UnknownAssistant
from assistants.models import Channel, Conversation
from web.errors import UserError
from web.language.sentences import translated
from web.validation.values import require_json

VISITOR_HEADER = "X-Lathe-Visitor"
VISITOR_SALT = "assistants.visitor"
KNOWN = "user:"  # Before a customer's id: no other visitor's name has a colon.


def find_channel(key: str) -> Channel | None:
    channels = Channel.objects.filter(kind=Channel.Kind.WEB, disabled_at=None)
    return channels.filter(public_key=key[:40]).select_related("assistant__team").first()


def require_channel(key: str) -> Channel:
    channel = find_channel(key)
    if channel is None:
        raise UnknownAssistant
    return channel


def visitor_of(request: HttpRequest) -> tuple[str, str]:
    """The visitor's token and name; new ones for who has none."""
    token = request.headers.get(VISITOR_HEADER, "")
    visitor = read_token(token)
    return (token, visitor) if visitor is not None else issue_visitor()


def issue_visitor() -> tuple[str, str]:
    """A token and the name in it, of somebody new."""
    visitor = secrets.token_urlsafe(18)
    return signing.dumps(visitor, salt=VISITOR_SALT), visitor


def identity_secret(channel: Channel) -> str:
    """What a site's own server signs its customers' ids with; nobody else knows it."""
    return salted_hmac("assistants.identity", str(channel.pk), algorithm="sha256").hexdigest()


def identify(channel: Channel, customer: str, signature: str) -> str:
    """The token of a customer whom the site's server vouches for: the same on all their devices.
    `signature`: HMAC-SHA256 of the id, in hex. Raises InvalidConsultation."""
    secret = identity_secret(channel).encode()
    expected = hmac.new(secret, customer.encode(), hashlib.sha256).hexdigest()
    if not customer or not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise InvalidConsultation("This signature is not of this visitor.", param="hash")
    return signing.dumps(f"{KNOWN}{customer}", salt=VISITOR_SALT)


def is_verified(visitor: str) -> bool:
    """Whether the site's server vouched for the visitor of this name."""
    return visitor.startswith(KNOWN)


def read_token(token: str) -> str | None:
    try:
        return str(signing.loads(token, salt=VISITOR_SALT))
    except signing.BadSignature:
        return None


def read_body(request: HttpRequest) -> dict[str, object]:
    try:
        sent = json.loads(request.body)
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise InvalidConsultation("Send a JSON object.")
    require_json(sent)
    return sent


def current_conversation(channel: Channel, visitor: str) -> Conversation | None:
    rows = Conversation.objects.filter(
        channel=channel, visitor__external_hash=hash_visitor(channel, visitor)
    )
    return rows.order_by("-opened_at").first()


def refuse(problem: UserError) -> JsonResponse:
    """Its sentence in the visitor's language."""
    body = {"error": translated(problem.sentence)}
    return JsonResponse(body, status=problem.status, headers=problem.headers)
