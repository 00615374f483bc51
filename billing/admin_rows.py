"""What operators may do to rows of money by hand: nothing, or add."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Team
from web.paging import LargeTablePaginator


class Unchangeable(admin.ModelAdmin[Any]):
    """Rows that are never changed or deleted by hand; there may be millions.

    A search for a team's exact slug finds its rows. `search_fields` name columns of the table
    itself that an index finds: searching in joined tables as well would read every row.
    """

    paginator = LargeTablePaginator
    show_full_result_count = False
    list_per_page = 50

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        team = Team.objects.filter(slug=search_term.strip()).first()
        if team is not None and "team" in {field.name for field in self.model._meta.fields}:
            return queryset.filter(team=team), False
        return super().get_search_results(request, queryset, search_term)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(Unchangeable):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
