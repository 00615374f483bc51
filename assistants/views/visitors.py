"""Finds who asks in the widget's frame: the channel by its key, the visitor by a signed token."""

import hashlib
import hmac
import json
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.core import signing
from django.http import HttpRequest, JsonResponse
from django.utils.crypto import salted_hmac

from assistants.conversations.consulting import hash_visitor
from assistants.conversations.situations import LOCALE, read_attributes
from assistants.errors import InvalidConsultation, UnknownAssistant
from assistants.models import Channel, Conversation
from web.errors import UserError
from web.language.sentences import translated
from web.validation.values import require_json

VISITOR_HEADER = "X-Lathe-Visitor"
VISITOR_SALT = "assistants.visitor"
KNOWN = "user:"  # Before a customer's id: no other visitor's name has a colon.
EXPIRES = "exp"  # As in a JSON Web Token (RFC 7519, 4.1.4): seconds since 1970.


def find_channel(key: str) -> Channel | None:
    channels = Channel.objects.filter(kind=Channel.Kind.WEB, disabled_at=None)
    return channels.filter(public_key=key[:40]).select_related("assistant__team").first()


def require_channel(key: str) -> Channel:
    channel = find_channel(key)
    if channel is None:
        raise UnknownAssistant
    return channel


def visitor_of(channel: Channel, request: HttpRequest) -> tuple[str, str]:
    """The visitor's token and name; new ones where the request has no valid token."""
    token = request.headers.get(VISITOR_HEADER, "")
    visitor = read_token(channel, token)
    return (token, visitor) if visitor is not None else issue_visitor()


def issue_visitor() -> tuple[str, str]:
    """The token and name of a new visitor."""
    visitor = secrets.token_urlsafe(18)
    return signing.dumps(visitor, salt=VISITOR_SALT), visitor


def identity_secret(channel: Channel) -> str:
    """The secret by which a site's own server signs its customers' ids."""
    return salted_hmac("assistants.identity", str(channel.pk), algorithm="sha256").hexdigest()


@dataclass(frozen=True)
class Identity:
    """A site's statement about its customer. `customer`: the id. `hash`: HMAC-SHA256 of the id, in
    hex. `attributes`: JSON. `attributes_hash`: HMAC-SHA256 of the id, a line break and
    `attributes`."""

    customer: str
    hash: str
    attributes: str = ""
    attributes_hash: str = ""


def identify(channel: Channel, identity: Identity) -> str:
    """The token of a customer whose id the site's server has signed, who is the same visitor on all
    devices. Raises InvalidConsultation for a wrong or expired signature."""
    if not identity.customer or not _is_signed(channel, identity.customer, identity.hash):
        raise InvalidConsultation("This signature is not of this visitor.", param="hash")
    vouched: dict[str, str] = {}
    if identity.attributes:
        if not _is_signed(
            channel, f"{identity.customer}\n{identity.attributes}", identity.attributes_hash
        ):
            raise InvalidConsultation(
                "This signature is not of these attributes.", param="attributes_hash"
            )
        vouched = read_attributes(identity.attributes)
    if _has_expired(vouched):
        raise InvalidConsultation(
            "What was signed has expired, or exp is no time in seconds since 1970. Sign it anew.",
            param="attributes",
        )
    visitor = f"{KNOWN}{identity.customer}"
    claims = {"channel": str(channel.pk), "visitor": visitor, "vouched": vouched}
    return signing.dumps(claims, salt=VISITOR_SALT)


def _is_signed(channel: Channel, text: str, signature: str) -> bool:
    secret = identity_secret(channel).encode()
    expected = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode())


def is_verified(visitor: str) -> bool:
    """Whether the site's server has signed the visitor of this name."""
    return visitor.startswith(KNOWN)


def read_token(channel: Channel, token: str) -> str | None:
    """The visitor's name; None for a token that we did not sign, or of another channel."""
    signed = _load_token(channel, token)
    if isinstance(signed, dict):
        return str(signed["visitor"])
    return None if signed is None else str(signed)


def read_vouched(channel: Channel, token: str) -> dict[str, str]:
    """The attributes of the visitor that the site's server signed; {} after they expired."""
    signed = _load_token(channel, token)
    vouched = dict(signed["vouched"]) if isinstance(signed, dict) else {}
    return {} if _has_expired(vouched) else vouched


def is_expired(channel: Channel, token: str) -> bool:
    """Whether what the site's server signed of the visitor held once, and holds no longer."""
    signed = _load_token(channel, token)
    return isinstance(signed, dict) and _has_expired(signed["vouched"])


def _has_expired(vouched: Mapping[str, str]) -> bool:
    """Whether the time in `exp` has passed, or cannot be read."""
    if EXPIRES not in vouched:
        return False
    try:
        expires = float(vouched[EXPIRES])
    except ValueError:
        return True
    return not math.isfinite(expires) or expires <= time.time()


def _load_token(channel: Channel, token: str) -> object:
    """The content of a token; None for one that we did not sign, or of another channel, whose
    customer of the same id is somebody else."""
    try:
        signed = signing.loads(token, salt=VISITOR_SALT)
    except signing.BadSignature:
        return None
    is_of_another = isinstance(signed, dict) and signed.get("channel") != str(channel.pk)
    return None if is_of_another else signed


def locale_of(request: HttpRequest) -> str:
    """The first language that the browser asks for, such as "zh-CN"; empty where it names none."""
    first = request.headers.get("Accept-Language", "").split(",")[0].split(";")[0].strip()
    return first if LOCALE.fullmatch(first) else ""


def read_body(request: HttpRequest) -> dict[str, object]:
    """The JSON object in the request's body. Raises InvalidConsultation for anything else."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidConsultation("Send a JSON object.")
    require_json(body)
    return body


def current_conversation(channel: Channel, visitor: str) -> Conversation | None:
    rows = Conversation.objects.filter(
        channel=channel, visitor__external_hash=hash_visitor(channel, visitor)
    )
    return rows.order_by("-opened_at").first()


def refuse(problem: UserError) -> JsonResponse:
    """The response for an error, with its sentence in the visitor's language."""
    body = {"error": translated(problem.sentence)}
    return JsonResponse(body, status=problem.status, headers=problem.headers)
