"""What a rule may look at besides the words of a question."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.timezone import now

from accounts.webhooks import secret_encryption
from assistants.models import Conversation, Decision, Message, Version
from assistants.people.opening_hours import is_open
from assistants.rules.matching import VERIFIED, Awaited, Situation
from engine.answering.terms import normalise

LOOKED_BACK = 20  # Earlier questions of the conversation.
MAX_ATTRIBUTES, MAX_VALUE = 20, 200
ATTRIBUTE = re.compile(r"[a-z0-9_-]{1,40}")
LOCALE = re.compile(r"(?=.{2,35}$)[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")


@dataclass(frozen=True)
class Claims:
    """What is said of a visitor: by whoever asks, and by the site's server, which signed it."""

    claimed: Mapping[str, str] = field(default_factory=dict)
    vouched: Mapping[str, str] = field(default_factory=dict)
    is_verified: bool = False

    @property
    def visitor(self) -> dict[str, str]:
        return {**self.claimed, **self.vouched, VERIFIED: "true" if self.is_verified else "false"}


NO_CLAIMS = Claims()


def situation_of(
    version: Version,
    message: Message,
    text: str,
    language: str,
    claims: Claims = NO_CLAIMS,
    *,
    original: str = "",
) -> Situation:
    """Of a question, which is read as `text`; `original`: as it was before it was masked."""
    conversation = message.conversation
    asks = any(rule["when"].get("asked_again") for rule in version.rules)
    earlier = _earlier(message) if asks else []
    return Situation(
        text=text,
        language=language,
        channel=message.channel.kind,
        is_open=is_open(version.assistant, now()),
        turns=message.seq,
        visitor=claims.visitor,
        vouched={**claims.vouched, VERIFIED: "true"} if claims.is_verified else {},
        asked_again=normalise(text) in {normalise(one.question) for one in earlier},
        earlier_topics=frozenset(one.candidates[0]["key"] for one in earlier if one.candidates),
        original=original,
        captured=read_captured(conversation),
        awaited=Awaited(**conversation.awaiting) if conversation.awaiting else None,
    )


def read_captured(conversation: Conversation) -> dict[str, str]:
    """What the visitor gave where a rule asked for it, by its shape; kept encrypted."""
    return read_sealed(conversation.captured)


def read_sealed(captured: str) -> dict[str, str]:
    return dict(json.loads(secret_encryption.decrypt(captured))) if captured else {}


def seal_captured(captured: Mapping[str, str]) -> str:
    return secret_encryption.encrypt(json.dumps(captured)) if captured else ""


def _earlier(message: Message) -> list[Decision]:
    rows = Decision.objects.filter(message__conversation=message.conversation_id)
    return list(rows.select_related("message").order_by("-at")[:LOOKED_BACK])


def read_attributes(sent: object) -> dict[str, str]:
    """What a program or a site says of the visitor: names with a text, number or truth each. All
    else is no rule's business and passed over. A form sends them as JSON."""
    if isinstance(sent, str):
        try:
            sent = json.loads(sent)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(sent, dict):
        return {}
    known = {
        str(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in sent.items()
        if ATTRIBUTE.fullmatch(str(name)) and isinstance(value, str | int | float)
    }
    short = [(name, value) for name, value in known.items() if len(value) <= MAX_VALUE]
    return dict(short[:MAX_ATTRIBUTES])
