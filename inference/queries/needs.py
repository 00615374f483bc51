"""What waits for a person of a team, shown on its overview. Apps above this one add their own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.core.cache import cache

from accounts.models import Team

KEPT_SECONDS = 10


@dataclass(frozen=True)
class Need:
    """Something that waits for a person."""

    sentence: str
    url: str
    tone: str  # "bad" or "wait".


_sources: list[Callable[[Team], Iterable[Need]]] = []


def register_needs(source: Callable[[Team], Iterable[Need]]) -> None:
    """Ask this for a team's needs, too; from an app's `ready()`."""
    if source not in _sources:
        _sources.append(source)


def registered_needs(team: Team) -> list[Need]:
    """As they were at most KEPT_SECONDS ago: a page that is opened often asks seldom."""

    def ask() -> list[Need]:
        return [need for source in _sources for need in source(team)]

    found = cache.get_or_set(f"needs:{team.pk}", ask, KEPT_SECONDS)
    return found or []
