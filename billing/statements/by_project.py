"""What each project cost in a month."""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from billing.statements.source_registry import find_family
from billing.statements.sources import CostSource

NO_PROJECT = "Other"  # What belongs to no project, or is gone.


@dataclass(frozen=True)
class ProjectCost:
    """`percent` is of the dearest project, the length of a bar."""

    project: str
    net_micro: int
    percent: float


def cost_by_project(sources: list[CostSource]) -> list[ProjectCost]:
    """The dearest first, with one query for each family of sources. Projects of one name add up."""
    ids: dict[str, set[UUID]] = defaultdict(set)
    for source in sources:
        if source.subject_id is not None:
            ids[source.family].add(source.subject_id)
    projects: dict[UUID, str] = {}
    for name, subjects in ids.items():
        family = find_family(name)
        if family and family.projects:
            projects |= family.projects(subjects)
    sums: dict[str, int] = defaultdict(int)
    for source in sources:
        project = projects.get(source.subject_id) if source.subject_id else None
        sums[project or NO_PROJECT] += source.net_micro
    highest = max(sums.values(), default=0) or 1
    return [
        ProjectCost(project, micro, round(max(0.0, 100 * micro / highest), 1))
        for project, micro in sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    ]
