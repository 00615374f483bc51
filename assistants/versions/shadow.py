"""Shadow mode: a version decides beside the live one, and says nothing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.models import ApiToken, User
from accounts.webhooks import secret_encryption
from assistants.answering.deciding import REFUSALS_BEFORE_HAND_OVER, decide
from assistants.answering.outcome import Outcome
from assistants.conversations.situations import read_sealed, seal_captured, situation_of
from assistants.errors import StaleVersionState
from assistants.models import Assistant, Decision, ShadowDecision, Version, VersionStatus
from assistants.rules.matching import Awaited, Situation

MAX_QUESTIONS = 10_000
RECENT = timedelta(seconds=10)


@dataclass(frozen=True)
class Comparison:
    """How the version differs from what was live; `differences` newest first."""

    questions: int
    same: int
    live_answered: int
    shadow_answered: int
    differences: list[ShadowDecision]


@transaction.atomic
def start(version: Version, questions: int, by: User | ApiToken) -> None:
    """Let the version decide the next so many questions, too. Raises StaleVersionState."""
    if version.status not in (VersionStatus.MEASURED, VersionStatus.RETIRED):
        raise StaleVersionState("Only a measured version that is not live can run in shadow.")
    Assistant.objects.filter(pk=version.assistant_id).update(
        shadow_version=version, shadow_left=min(questions, MAX_QUESTIONS)
    )
    audit.record(version.assistant.team, by, "assistant.shadow-started", str(version))


class OutOfOrder(Exception):
    """An earlier question of the conversation is on its way to the shadow version."""


def decide_in_shadow(decision_id: UUID, sealed: str = "", *, waits: bool = False) -> None:
    """What the shadow version would have said. Doing it twice changes nothing.

    Raises OutOfOrder if it `waits` for the question before, which a dialogue depends on.
    """
    decision = (
        Decision.objects.filter(pk=decision_id)
        .select_related("message__conversation", "message__channel__assistant")
        .first()
    )
    if decision is None:
        return
    assistant = decision.message.channel.assistant
    version = assistant.shadow_version
    if (
        version is None
        or ShadowDecision.objects.filter(decision=decision, version=version).exists()
    ):
        return
    if waits and _is_out_of_order(decision, version):
        raise OutOfOrder
    running = Assistant.objects.filter(pk=assistant.pk, shadow_version=version, shadow_left__gt=0)
    if not running.update(shadow_left=F("shadow_left") - 1):
        return
    known = json.loads(secret_encryption.decrypt(sealed)) if sealed else {}
    dialogue = _dialogue_of(decision, version, known)
    outcome = decide(
        version,
        _situation_of(decision, version, dialogue, known),
        asked_back=dialogue.asked_back,
    )
    _keep(decision, version, dialogue, outcome)


def _is_out_of_order(decision: Decision, version: Version) -> bool:
    """Whether a question of the last seconds, asked before, is not decided yet."""
    before = Decision.objects.filter(
        message__conversation=decision.message.conversation_id,
        at__lt=decision.at,
        at__gt=decision.at - RECENT,
    )
    return before.exclude(shadows__version=version).exists()


@dataclass(frozen=True)
class Dialogue:
    """How far the shadow version would be in a conversation: it asks for things of its own."""

    awaited: Awaited | None = None
    captured: dict[str, str] = field(default_factory=dict)
    asked_back: bool = False
    refusals_running: int = 0


def _dialogue_of(decision: Decision, version: Version, known: Mapping[str, Any]) -> Dialogue:
    """From its last decision in this conversation; at first it is where the live one is."""
    rows = ShadowDecision.objects.filter(
        version=version, decision__message__conversation=decision.message.conversation_id
    ).exclude(decision=decision)
    last = rows.filter(decision__at__lt=decision.at).order_by("-decision__at").first()
    if last is None:
        awaited = known.get("awaited")
        return Dialogue(
            Awaited(**awaited) if awaited else None,
            known.get("captured", {}),
            known.get("asked_back", False),
        )
    return Dialogue(
        Awaited(**last.awaiting) if last.awaiting else None,
        {**known.get("captured", {}), **read_sealed(last.captured)},
        last.route == Decision.Route.ASK,
        last.refusals_running,
    )


def _situation_of(
    decision: Decision, version: Version, dialogue: Dialogue, known: Mapping[str, Any]
) -> Situation:
    version.assistant = decision.message.channel.assistant
    situation = situation_of(
        version,
        decision.message,
        known.get("text", decision.question),
        known.get("language", decision.language),
        original=known.get("original", ""),
    )
    return replace(
        situation,
        visitor=known.get("visitor", {}),
        vouched=known.get("vouched", {}),
        captured=dialogue.captured,
        awaited=dialogue.awaited,
        is_open=known.get("is_open", situation.is_open),
    )


def _keep(decision: Decision, version: Version, dialogue: Dialogue, outcome: Outcome) -> None:
    refusals = dialogue.refusals_running + 1 if outcome.route == Decision.Route.REFUSE else 0
    if refusals >= REFUSALS_BEFORE_HAND_OVER:  # As the live version does.
        outcome.route = Decision.Route.HAND_OVER
    goes_on = outcome.awaited is not None and outcome.route != Decision.Route.HAND_OVER
    ShadowDecision.objects.get_or_create(
        decision=decision,
        version=version,
        defaults={
            "route": outcome.route,
            "answer_key": outcome.answer_key,
            "confidence": min(1.0, max(0.0, outcome.confidence)),
            "awaiting": vars(outcome.awaited) if goes_on and outcome.awaited else None,
            "captured": seal_captured({**dialogue.captured, **outcome.captured}),
            "refusals_running": refusals,
        },
    )


def compare(version: Version, shown: int = 50) -> Comparison:
    """All that the version decided in shadow, against what was said."""
    rows = ShadowDecision.objects.filter(version=version).select_related("decision__message")
    decided = list(rows.order_by("-decision__at"))
    different = [row for row in decided if row.differs]
    return Comparison(
        questions=len(decided),
        same=len(decided) - len(different),
        live_answered=_count_answers(row.decision for row in decided),
        shadow_answered=_count_answers(decided),
        differences=different[:shown],
    )


def _count_answers(rows: Iterable[Decision | ShadowDecision]) -> int:
    return sum(row.route in Decision.ANSWERED for row in rows)
