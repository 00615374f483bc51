"""Shadow mode: a version decides beside the live one, and says nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.models import ApiToken, User
from assistants.answering.deciding import decide
from assistants.errors import StaleVersionState
from assistants.models import Assistant, Decision, ShadowDecision, Version, VersionStatus
from assistants.rules.matching import Situation

MAX_QUESTIONS = 10_000


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


def decide_beside(decision_id: UUID) -> None:
    """What the shadow version would have said. Doing it twice changes nothing."""
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
    running = Assistant.objects.filter(pk=assistant.pk, shadow_version=version, shadow_left__gt=0)
    if not running.update(shadow_left=F("shadow_left") - 1):
        return
    message = decision.message
    outcome = decide(
        version,
        Situation(
            text=decision.question,
            language=decision.language,
            channel=message.channel.kind,
            turns=message.seq,
        ),
    )
    ShadowDecision.objects.get_or_create(
        decision=decision,
        version=version,
        defaults={
            "route": outcome.route,
            "answer_key": outcome.answer_key,
            "confidence": min(1.0, max(0.0, outcome.confidence)),
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
    return sum(row.route == Decision.Route.ANSWER for row in rows)
