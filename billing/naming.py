"""What the things that cause costs are called. The apps that own them register how to say it:
billing knows them only by a source like "training-job:<id>".
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from billing.usage import Cause

Namer = Callable[[Collection[UUID]], dict[UUID, str]]
_namers: dict[str, Namer] = {}


def register(family: str, namer: Namer) -> None:
    """`family` is what its sources begin with; the namer leaves out what no longer exists."""
    _namers[family] = namer


def name_causes(causes: Iterable["Cause"]) -> None:
    """Fill in the names, with one query for each family."""
    families: dict[str, dict[UUID, Cause]] = defaultdict(dict)
    for cause in causes:
        if cause.subject_id:
            families[cause.family][cause.subject_id] = cause
    for family, known in families.items():
        if namer := _namers.get(family):
            for subject_id, name in namer(known).items():
                known[subject_id].name = name
