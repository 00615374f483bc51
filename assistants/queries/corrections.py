"""What became of corrections: in which version each is, and what the others wait for."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from assistants.models import Answer, Assistant, Judgement, Message, Version, VersionStatus


@dataclass(frozen=True)
class LearntIn:
    """The version that first learnt so many corrections."""

    version: Version
    count: int


@dataclass(frozen=True)
class Corrections:
    """`waiting` for the next version; `unapproved`: their answer waits for approval."""

    learnt: list[LearntIn]
    waiting: int
    unapproved: int

    @property
    def total(self) -> int:
        return sum(one.count for one in self.learnt) + self.waiting + self.unapproved

    @property
    def all_in(self) -> Version | None:
        """The one version that has all of them."""
        is_one = len(self.learnt) == 1 and not self.waiting and not self.unapproved
        return self.learnt[0].version if is_one else None


def count_corrections(assistant: Assistant) -> Corrections:
    rows = list(Judgement.objects.taught(assistant).select_related("used_in", "answer"))
    learnt = versions_that_learnt(assistant, rows)
    others = [row for row in rows if row.pk not in learnt]
    unapproved = sum(
        row.answer is not None and row.answer.state == Answer.State.DRAFT for row in others
    )
    counts = Counter(version.number for version in learnt.values())
    versions = {version.number: version for version in learnt.values()}
    return Corrections(
        learnt=[LearntIn(versions[number], counts[number]) for number in sorted(counts)],
        waiting=len(others) - unapproved,
        unapproved=unapproved,
    )


def judgements_of(messages: Iterable[Message]) -> list[Judgement]:
    """Those of the decisions on these messages."""
    decisions = [getattr(message, "decision", None) for message in messages]
    judgements = [getattr(decision, "judgement", None) for decision in decisions if decision]
    return [judgement for judgement in judgements if judgement is not None]


def versions_that_learnt(
    assistant: Assistant, judgements: Iterable[Judgement]
) -> dict[int, Version]:
    """{key of a judgement: the first version that learnt from it}. One that could not be built is
    none: the rows of the next one hold what its rows held."""
    used = [judgement for judgement in judgements if judgement.used_in is not None]
    if not used:
        return {}
    built = assistant.versions.filter(dataset_version__isnull=False).select_related(
        "dataset_version"
    )
    versions = [one for one in built.order_by("number") if one.status != VersionStatus.FAILED]
    learnt_in = {}
    for judgement in used:
        data = judgement.used_in
        assert data is not None
        for version in versions:
            rows = version.dataset_version
            assert rows is not None
            if rows.dataset_id == data.dataset_id and rows.number >= data.number:
                learnt_in[judgement.pk] = version
                break
    return learnt_in
