"""What operators may do by hand to rows that the product writes: look, or add."""

from functools import lru_cache
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import lazy

from web.language.operators import in_words, name
from web.pagination import LargeTablePaginator
from web.templatetags.ui import cents, exact_money

MICRO_SUFFIX, CENTS_SUFFIX = "_micro", "_cents"


_title_in_dollars: Any = lazy(lambda title: f"{name(title)}, $", str)


@lru_cache
def in_dollars(column: Any) -> Any:
    """A column that holds micro-USD or cents, by its name, as dollars; others as is."""
    if not isinstance(column, str) or not column.endswith((MICRO_SUFFIX, CENTS_SUFFIX)):
        return column
    show = exact_money if column.endswith(MICRO_SUFFIX) else cents
    title = column.removesuffix(MICRO_SUFFIX).removesuffix(CENTS_SUFFIX).replace("_", " ")

    @admin.display(description=_title_in_dollars(title), ordering=column)
    def dollars(row: Any) -> str:
        return show(getattr(row, column))

    return dollars


class DollarsMixin:
    """Shows money in dollars and choices in words: in lists, and wherever they are not edited."""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = super().get_list_display(request)  # type: ignore[misc]
        return [self._show_in_dollars(column) for column in columns]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_fields(request, obj)  # type: ignore[misc]
        if obj is None:  # A form to add one takes what the database keeps.
            return list(fields)
        shown = set(super().get_readonly_fields(request, obj))  # type: ignore[misc]
        is_form = self.has_change_permission(request, obj)  # type: ignore[attr-defined]
        return [
            self._show_in_dollars(field) if not is_form or field in shown else field
            for field in fields
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)  # type: ignore[misc]
        return [field if obj is None else self._show_in_dollars(field) for field in fields]

    def _show_in_dollars(self, column: Any) -> Any:
        """A method of the class that has the column's name decides itself how it is shown."""
        if isinstance(column, str) and hasattr(self, column):
            return column
        return in_words(self.model, in_dollars(column))  # type: ignore[attr-defined]


class NeverDeletedMixin:
    """Rows that nobody deletes by hand, because others refer to them. For admins and inlines."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AppendOnlyAdminMixin(NeverDeletedMixin, DollarsMixin):
    """Rows may be added; they are never changed or deleted by hand. For admins and inlines."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdminMixin(AppendOnlyAdminMixin):
    """Rows that only the product writes: shown, never added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AppendOnlyAdmin(AppendOnlyAdminMixin, admin.ModelAdmin[Any]):
    """Append-only rows of which there may be millions.

    A search for a team's exact slug finds its rows. `search_fields` name columns of the table
    itself that an index finds: searching in joined tables as well would read every row.
    """

    paginator = LargeTablePaginator
    show_full_result_count = False
    list_per_page = 50

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if "team" in {field.name for field in self.model._meta.fields}:
            of_team = queryset.filter(team__slug=search_term.strip())
            if of_team.exists():
                return of_team, False
        return super().get_search_results(request, queryset, search_term)


class ReadOnlyAdmin(ReadOnlyAdminMixin, AppendOnlyAdmin):
    """Read-only rows of which there may be millions."""
