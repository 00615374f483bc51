"""Questions that found no answer, those that ask alike together: what the knowledge lacks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction

from accounts.models import User
from assistants.errors import JudgedAlready
from assistants.models import Answer, Assistant, Decision, Judgement
from assistants.queries.figures import gaps
from assistants.review.judging import judge
from assistants.writing.grounding import FILLERS
from engine.answering.terms import split_terms

LOOKED_BACK = 300
ALIKE = 0.5  # Of the terms of two questions, as the cosine of both sets,
ALIKE_NEARBY = 0.3  # or less where the same answer was nearest to both.


@dataclass
class Gap:
    """Questions that ask alike, the newest first."""

    decisions: list[Decision] = field(default_factory=list)

    @property
    def first(self) -> Decision:
        return self.decisions[0]

    @property
    def others(self) -> list[Decision]:
        return self.decisions[1:]

    @property
    def questions(self) -> list[str]:
        """Each once, as they were written."""
        return list(dict.fromkeys(" ".join(one.question.split()) for one in self.decisions))


def find_gaps(assistant: Assistant) -> list[Gap]:
    """The largest first."""
    return sorted(group(gaps(assistant, LOOKED_BACK)), key=lambda gap: -len(gap.decisions))


def find_gap(assistant: Assistant, decision_id: UUID | None) -> Gap | None:
    """The one with this decision; None without one."""
    if decision_id is None:
        return None
    for gap in find_gaps(assistant):
        if any(decision.pk == decision_id for decision in gap.decisions):
            return gap
    return None


def group(decisions: Iterable[Decision]) -> list[Gap]:
    """Each joins the gap whose first question is most like it, or begins one."""
    known: list[tuple[Gap, set[str], str]] = []
    for decision in decisions:
        words = set(split_terms(decision.question))
        terms = {term for term in words if term not in FILLERS} or words
        nearest = str(decision.candidates[0]["key"]) if decision.candidates else str(decision.pk)
        alike = [
            (_likeness(terms, others) - (ALIKE_NEARBY if nearest == other else ALIKE), gap)
            for gap, others, other in known
        ]
        best = max(alike, key=lambda pair: pair[0], default=None)
        if best is not None and best[0] >= 0:
            best[1].decisions.append(decision)
        else:
            known.append((Gap([decision]), terms, nearest))
    return [gap for gap, _, _ in known]


@transaction.atomic
def close_gap(assistant: Assistant, gap: Gap, answer: Answer, by: User) -> int:
    """Its questions should have got this answer and become ways to ask for it, but those of the
    random audit, which measure; returns how many were judged."""
    judged = 0
    for decision in gap.decisions:
        try:
            judge(
                assistant, decision.pk, Judgement.Verdict.SHOULD_HAVE_ANSWERED, by,
                answer_key=answer.key, is_audit=decision.for_audit,
            )  # fmt: skip
            judged += 1
        except JudgedAlready:  # By somebody else an instant ago.
            continue
    return judged


def _likeness(terms: set[str], others: set[str]) -> float:
    if not terms or not others:
        return float(terms == others)
    return len(terms & others) / math.sqrt(len(terms) * len(others))
