"""Causes of costs by their names, with the way to their pages, in lists of the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html

from billing.statements.sources import CostSource, resolve_names


class NamedSourcesChangeList(ChangeList):
    """Finds the names of all causes on the page with one query for each kind."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        field = self.model_admin.source_field  # type: ignore[attr-defined]
        rows = list(self.result_list)
        causes = {text: CostSource(source=text) for text in {getattr(row, field) for row in rows}}
        resolve_names(causes.values())
        for row in rows:
            row.cost_source = causes[getattr(row, field)]
        self.result_list = rows


class NamedSourcesMixin:
    """Adds the column `cause`, read from `source_field`."""

    source_field = "source"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return NamedSourcesChangeList

    @admin.display(description="For")
    def cause(self, row: Any) -> str:
        source: CostSource = row.cost_source
        if not source.url:
            return source.label
        return format_html('<a href="{}">{}</a>', source.url, source.label)
