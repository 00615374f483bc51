"""What causes costs: a job or deployment and its attempts, with what each used in a month.

Billing itself knows only source strings such as "training-job:<id>"; the apps that own their
families register how these are named and linked.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Value
from django.urls import reverse

from billing.models import MeteredRun
from web.language.sentences import translated
from web.validation.values import parse_uuid

COUNTED_FAMILIES = ("deployment", "base-model", "assistant")  # Of usage that is counted, not timed.
NO_PROJECT = "Other"  # What belongs to no project, or is gone.
NamedRows = Callable[[Collection[UUID]], QuerySet[Any]]  # With a field `name`.
NameResolver = Callable[[Collection[UUID]], dict[UUID, str]]


@dataclass(frozen=True)
class SourceFamily:
    """How a statement names and links the sources that begin with "<family>:"."""

    names: NamedRows  # Of these ids, as far as they exist.
    url_name: str  # Of the page of one of them.
    label: str  # Stands before the id of one that no longer exists.
    projects: NameResolver | None = None  # The names of the projects that these ids belong to.


_families: dict[str, SourceFamily] = {}


def register_source(
    family: str, names: NamedRows, url_name: str, label: str, projects: NameResolver | None = None
) -> None:
    """Called from `AppConfig.ready` of the app that owns these sources."""
    _families[family] = SourceFamily(names, url_name, label, projects)


@dataclass
class Amount:
    """Micro-USD charged and given back; both positive."""

    charged_micro: int = 0
    refunded_micro: int = 0

    @property
    def net_micro(self) -> int:
        return self.charged_micro - self.refunded_micro


@dataclass
class RunUsage(Amount):
    """One attempt: a metered run and what it cost this month."""

    run: MeteredRun | None = None
    device_ms: int = 0
    notes: list[str] = field(default_factory=list)  # Why something was given back.


@dataclass
class CostSource(Amount):
    """A job or deployment, named by its source string, and what it cost this month."""

    source: str = ""
    runs: dict[UUID, RunUsage] = field(default_factory=dict)  # Filled by `add_attempts`.
    device_ms: int = 0
    units: int = 0
    requests: int = 0
    name: str = ""  # Filled by `resolve_names`.

    @cached_property
    def family(self) -> str:
        """ "training-job", "deployment" or whatever the source begins with."""
        return self.source.partition(":")[0]

    @cached_property
    def subject_id(self) -> UUID | None:
        return parse_uuid(self.source.partition(":")[2])

    @cached_property
    def url(self) -> str:
        """Of the page of the job or deployment; "" for what has none."""
        registered = _families.get(self.family)
        if registered is None or self.subject_id is None:
            return ""
        return reverse(registered.url_name, args=[self.subject_id])

    @property
    def label(self) -> str:
        """Its name; of what does not exist any more, the beginning of its id."""
        if self.name or self.subject_id is None:
            return self.name or self.source
        return f"{self._family_label} {str(self.subject_id)[:8]}"

    @property
    def shown_label(self) -> str:
        """On pages: people's own names as they wrote them, our words in the page's language."""
        if self.name or self.subject_id is None:
            return self.label
        return f"{translated(self._family_label)} {str(self.subject_id)[:8]}"

    @property
    def _family_label(self) -> str:
        registered = _families.get(self.family)
        return registered.label if registered else self.family

    @property
    def attempts(self) -> list[RunUsage]:
        """In the order they began."""
        return sorted(
            self.runs.values(), key=lambda use: (use.run is None, use.run and use.run.fence)
        )


def resolve_names(sources: Iterable[CostSource]) -> None:
    """Fill in the names, with one query for all families."""
    families: dict[str, dict[UUID, CostSource]] = defaultdict(dict)
    for source in sources:
        if source.subject_id:
            families[source.family][source.subject_id] = source
    queries = [
        family.names(by_id)
        .order_by()
        .annotate(family=Value(name))
        .values_list("family", "pk", "name")
        for name, by_id in families.items()
        if (family := _families.get(name))
    ]
    for name, subject_id, title in queries[0].union(*queries[1:]) if queries else ():
        families[name][subject_id].name = title


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
        family = _families.get(name)
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
