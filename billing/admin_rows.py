"""What operators may do to rows of money by hand: nothing, or add."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class Unchangeable(admin.ModelAdmin[Any]):
    """Rows that are never changed or deleted by hand."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(Unchangeable):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
