"""Sends a question to the version that decides in shadow, once the live one has decided it."""

import json

from accounts.webhooks import secret_encryption
from assistants.models import Decision
from assistants.rules.matching import Situation
from web.enqueue import enqueue_on_commit


def enqueue_shadow_decision(decision: Decision, situation: Situation, *, asked_back: bool) -> None:
    """Let the shadow version decide the same question. What the live one knew and nobody stores
    goes along, encrypted: the question before it was masked, and what is said of the visitor."""
    known = {
        "text": situation.text,
        "language": situation.language,
        "original": situation.original,
        "visitor": dict(situation.visitor),
        "vouched": dict(situation.vouched),
        "captured": dict(situation.captured),
        "awaited": vars(situation.awaited) if situation.awaited else None,
        "asked_back": asked_back,
        "is_open": situation.is_open,
    }
    sealed = secret_encryption.encrypt(json.dumps(known))
    enqueue_on_commit("assistants.tasks.decide_in_shadow", str(decision.pk), sealed)
