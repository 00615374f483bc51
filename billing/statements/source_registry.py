"""Kinds of things that cause costs, registered by the apps that own them.

Billing itself knows only source strings such as "training-job:<id>".
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

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
    family: str,
    names: NamedRows,
    url_name: str,
    label: str,
    projects: NameResolver | None = None,
) -> None:
    """Called from `AppConfig.ready` of the app that owns these sources."""
    _families[family] = SourceFamily(names, url_name, label, projects)


def find_family(family: str) -> SourceFamily | None:
    return _families.get(family)
