"""What causes costs: a job or deployment and its attempts, with what each used in a month."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from django.db.models import Value
from django.urls import reverse

from billing.models import MeteredRun
from billing.statements.source_registry import find_family
from web.language.sentences import translated
from web.validation.values import parse_uuid

COUNTED_FAMILIES = ("deployment", "base-model", "assistant")  # Of usage that is counted, not timed.


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
        registered = find_family(self.family)
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
        registered = find_family(self.family)
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
        if (family := find_family(name))
    ]
    for name, subject_id, title in queries[0].union(*queries[1:]) if queries else ():
        families[name][subject_id].name = title
