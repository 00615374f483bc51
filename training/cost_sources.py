"""Sources of cost that belong to projects, as billing's statements name and link them."""

from typing import Any

from django.db.models import Model

from billing.statements.sources import register_source


def register_project_source(family: str, model: type[Model], url_name: str, label: str) -> None:
    """Register rows of this model, each with a name and a project; called in an app's `ready()`."""
    rows: Any = model._default_manager
    register_source(
        family,
        lambda ids: rows.filter(pk__in=ids),
        url_name,
        label,
        lambda ids: dict(rows.filter(pk__in=ids).values_list("pk", "project__name")),
    )
