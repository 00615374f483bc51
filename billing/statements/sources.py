"""Sources of cost: jobs, deployments and others, with their attempts and what each used in a month.

Billing only stores source strings such as "training-job:<id>". The app that owns a family of
sources registers how they are named and linked.
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

COUNTED_FAMILIES = ("deployment", "base-model", "assistant")  # Their usage is counted, not timed.
NO_PROJECT = "Other"  # For sources of no project, or that no longer exist.
NamedRows = Callable[[Collection[UUID]], QuerySet[Any]]  # With a field `name`.
NameResolver = Callable[[Collection[UUID]], dict[UUID, str]]


@dataclass(frozen=True)
class SourceFamily:
    """How a statement names and links the sources that begin with "<family>:"."""

    names: NamedRows  # The rows of these ids that exist.
    url_name: str  # The URL name of a source's page.
    label: str  # Shown with the id of a source that no longer exists.
    projects: NameResolver | None = None  # The names of these sources' projects.


_families: dict[str, SourceFamily] = {}


def register_source(
    family: str, names: NamedRows, url_name: str, label: str, projects: NameResolver | None = None
) -> None:
    """Register a family of sources; called in `AppConfig.ready` of the app that owns them."""
    _families[family] = SourceFamily(names, url_name, label, projects)


@dataclass
class Amount:
    """Micro-USD charged and refunded; both positive."""

    charged_micro: int = 0
    refunded_micro: int = 0

    @property
    def net_micro(self) -> int:
        return self.charged_micro - self.refunded_micro


@dataclass
class RunUsage(Amount):
    """One attempt: a metered run and what it cost in the month."""

    run: MeteredRun | None = None
    device_ms: int = 0
    notes: list[str] = field(default_factory=list)  # Reasons of refunds.


@dataclass
class CostSource(Amount):
    """A job or deployment, identified by its source string, and what it cost in the month."""

    source: str = ""
    runs: dict[UUID, RunUsage] = field(default_factory=dict)  # Filled by `add_attempts`.
    device_ms: int = 0
    units: int = 0
    requests: int = 0
    name: str = ""  # Filled by `resolve_names`.

    @cached_property
    def family(self) -> str:
        """The part of the source before the colon, such as "training-job"."""
        return self.source.partition(":")[0]

    @cached_property
    def subject_id(self) -> UUID | None:
        return parse_uuid(self.source.partition(":")[2])

    @cached_property
    def url(self) -> str:
        """The address of the source's page; "" where it has none."""
        registered = _families.get(self.family)
        if registered is None or self.subject_id is None:
            return ""
        return reverse(registered.url_name, args=[self.subject_id])

    @property
    def label(self) -> str:
        """The source's name; without one, its family and the beginning of its id."""
        if self.name or self.subject_id is None:
            return self.name or self.source
        return f"{self._family_label} {str(self.subject_id)[:8]}"

    @property
    def shown_label(self) -> str:
        """The label with our own words, but not people's names, in the page's language."""
        if self.name or self.subject_id is None:
            return self.label
        return f"{translated(self._family_label)} {str(self.subject_id)[:8]}"

    @property
    def _family_label(self) -> str:
        registered = _families.get(self.family)
        return registered.label if registered else self.family

    @property
    def attempts(self) -> list[RunUsage]:
        """The attempts in the order in which they began."""
        return sorted(
            self.runs.values(), key=lambda use: (use.run is None, use.run and use.run.fence)
        )


def resolve_names(sources: Iterable[CostSource]) -> None:
    """Set the names of these sources, with one query for all families."""
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
    """The cost of a project. `percent`: of the most expensive project's cost, for a bar."""

    project: str
    net_micro: int
    percent: float


def cost_by_project(sources: list[CostSource]) -> list[ProjectCost]:
    """The cost of each project, the most expensive first. Projects with the same name are summed.
    Makes one query for each family of sources."""
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
        for project, micro in sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
