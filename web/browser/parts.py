"""What apps above a page's own have to say about its subject.

A page lives in the lowest app that owns its subject, and must not know the apps above. These
register in `AppConfig.ready`; the page asks.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db.models import Model
from django.http import HttpRequest

UsesFinder = Callable[[Model], list[str]]
PartLoader = Callable[[HttpRequest, Model], Mapping[str, object]]


@dataclass(frozen=True)
class PagePart:
    """A template with what it reads about the page's subject."""

    template: str
    load: PartLoader
    position: int


_uses: dict[str, list[UsesFinder]] = defaultdict(list)
_parts: dict[str, list[PagePart]] = defaultdict(list)


def register_uses(kind: str, find: UsesFinder) -> None:
    """`find` says in one sentence each what keeps a thing of this kind ("project") in use."""
    _uses[kind].append(find)


def uses_of(kind: str, row: Model) -> list[str]:
    """Why this thing cannot go to the trash now; empty when nothing uses it."""
    return [sentence for find in _uses[kind] for sentence in find(row)]


def register_part(place: str, template: str, load: PartLoader, *, position: int) -> None:
    """Show the template at this place of a page, ordered by position."""
    _parts[place].append(PagePart(template, load, position))
    _parts[place].sort(key=lambda part: part.position)


def parts_of(place: str) -> list[PagePart]:
    return list(_parts[place])
