"""Things that wait for a person of a team, as its overview lists them. Apps above this one add
theirs with `register_needs`."""

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
    """Adds a function that lists a team's needs; called from an app's `ready()`."""
    if source not in _sources:
        _sources.append(source)


def registered_needs(team: Team) -> list[Need]:
    """The needs of all registered functions, cached for KEPT_SECONDS: the page is opened often."""

    def load() -> list[Need]:
        return [need for source in _sources for need in source(team)]

    return cache.get_or_set(f"needs:{team.pk}", load, KEPT_SECONDS) or []
