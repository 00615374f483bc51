"""The operator's view of people, teams and tokens."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import (
    ApiToken,
    AuditEntry,
    Invitation,
    Membership,
    Notice,
    NoticeEmail,
    Team,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.teams import suspension
from web.admin import NeverDeletedMixin, ReadOnlyAdminMixin


class SearchableReadOnlyAdmin(ReadOnlyAdminMixin, admin.ModelAdmin[Any]):
    """Read-only rows few enough to search joined tables, unlike web.admin.ReadOnlyAdmin."""


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
class TeamAdmin(NeverDeletedMixin, admin.ModelAdmin[Team]):
    """The ledger refers to teams: they are suspended, not deleted."""

    list_display = ("name", "slug", "created_at", "frozen_at")
    list_filter = (("frozen_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "slug", "memberships__user__email")
    readonly_fields = ("created_at", "frozen_at")
    inlines = (MembershipInline,)
    actions = ("suspend", "unsuspend")

    @admin.action(description="Suspend: nothing new may run", permissions=["change"])
    def suspend(self, request: HttpRequest, teams: QuerySet[Team]) -> None:
        running = list(teams.filter(frozen_at=None))
        for team in running:
            suspension.suspend(team, request.user if isinstance(request.user, User) else None)
        self.message_user(request, f"{len(running)} suspended.")

    @admin.action(description="Lift the suspension", permissions=["change"])
    def unsuspend(self, request: HttpRequest, teams: QuerySet[Team]) -> None:
        suspended = list(teams.filter(frozen_at__isnull=False))
        for team in suspended:
            suspension.unsuspend(team, request.user if isinstance(request.user, User) else None)
        self.message_user(request, f"{len(suspended)} free to run again.")


@admin.register(ApiToken)
class ApiTokenAdmin(SearchableReadOnlyAdmin):
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
class InvitationAdmin(SearchableReadOnlyAdmin):
    list_display = ("email", "team", "role", "invited_by", "created_at", "accepted_at")
    exclude = ("digest",)


@admin.register(AuditEntry)
class AuditEntryAdmin(SearchableReadOnlyAdmin):
    list_display = ("at", "team", "actor", "action", "target", "address")
    list_filter = ("action",)
    search_fields = ("actor", "target", "team__name")
    date_hierarchy = "at"


@admin.register(Notice)
class NoticeAdmin(SearchableReadOnlyAdmin):
    list_display = ("created_at", "team", "event", "sentence", "fanned_out_at")
    list_filter = ("event", ("fanned_out_at", admin.EmptyFieldListFilter))
    search_fields = ("sentence", "team__name", "key")
    date_hierarchy = "created_at"


@admin.register(NoticeEmail)
class NoticeEmailAdmin(SearchableReadOnlyAdmin):
    list_display = ("notice", "user", "attempts", "next_at", "sent_at", "given_up_at", "error")
    list_filter = (
        ("sent_at", admin.EmptyFieldListFilter),
        ("given_up_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("user__email", "notice__sentence")
    list_select_related = ("notice", "user")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(SearchableReadOnlyAdmin):
    list_display = ("url", "team", "failing_since", "disabled_at", "disabled_reason", "deleted_at")
    list_filter = (("disabled_at", admin.EmptyFieldListFilter),)
    search_fields = ("url", "team__name")
    exclude = ("sealed_secret", "old_sealed_secret")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(SearchableReadOnlyAdmin):
    list_display = (
        "created_at",
        "endpoint",
        "event",
        "attempts",
        "status_code",
        "next_at",
        "error",
    )
    list_filter = ("event", ("delivered_at", admin.EmptyFieldListFilter))
    search_fields = ("event_id", "endpoint__url", "endpoint__team__name")
    list_select_related = ("endpoint",)
