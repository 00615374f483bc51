"""The operator's view of people, teams and tokens."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, AuditEntry, Invitation, Membership, Team, User
from web.live import notify


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows to look at: nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_staff", "is_active", "last_login")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("first_name", "last_name")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)


class MembershipInline(admin.TabularInline[Membership, Team]):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin[Team]):
    list_display = ("name", "slug", "created_at", "frozen_at")
    list_filter = (("frozen_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "slug", "memberships__user__email")
    readonly_fields = ("created_at", "frozen_at")
    inlines = (MembershipInline,)
    actions = ("freeze", "unfreeze")

    @admin.action(description="Freeze: nothing new may run", permissions=["change"])
    def freeze(self, request: HttpRequest, teams: QuerySet[Team]) -> None:
        for team in teams.filter(frozen_at=None):
            Team.objects.filter(pk=team.pk).update(frozen_at=now())
            notify(f"team:{team.pk}")
            audit.record(team, _operator(request), "team.frozen", team.name, by="operator")

    @admin.action(description="Lift the freeze", permissions=["change"])
    def unfreeze(self, request: HttpRequest, teams: QuerySet[Team]) -> None:
        for team in teams.filter(frozen_at__isnull=False):
            Team.objects.filter(pk=team.pk).update(frozen_at=None)
            notify(f"team:{team.pk}")
            audit.record(team, _operator(request), "team.unfrozen", team.name, by="operator")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # The ledger refers to teams; freeze instead.


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "prefix",
        "team",
        "created_by",
        "scopes",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "prefix", "team__name", "created_by__email")
    exclude = ("digest",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("email", "team", "role", "invited_by", "created_at", "accepted_at")
    exclude = ("digest",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "team", "actor", "action", "target", "address")
    list_filter = ("action",)
    search_fields = ("actor", "target", "team__name")
    date_hierarchy = "at"


def _operator(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
