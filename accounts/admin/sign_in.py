"""How people sign in, as allauth keeps it: operators look, and take away what was lost or stolen.

These pages replace allauth's own, which show the secrets that second factors are made of, search
for user names, which nobody has here, and delete a session's row but not the session.
"""

from typing import Any

from allauth.mfa.admin import AuthenticatorAdmin as AllauthAuthenticatorAdmin
from allauth.mfa.models import Authenticator
from allauth.usersessions.admin import UserSessionAdmin as AllauthUserSessionAdmin
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from web.admin import NeverDeletedMixin, ReadOnlyAdminMixin
from web.streams.access import access_ended

admin.site.unregister([Authenticator, UserSession])


class EndingMixin(ReadOnlyAdminMixin):
    """Rows that are only ever taken away by hand."""

    list_select_related = ("user",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # As if it were no row of the ledger: by the operator's own rights.
        allowed: bool = super(NeverDeletedMixin, self).has_delete_permission(  # type: ignore[misc]
            request, obj
        )
        return allowed


@admin.register(Authenticator)
class AuthenticatorAdmin(EndingMixin, AllauthAuthenticatorAdmin):  # type: ignore[misc]
    """Deleted for who lost both the device and the recovery codes: a password is enough again."""

    list_filter = ("type",)
    search_fields = ("user__email",)
    exclude = ("data",)


@admin.register(UserSession)
class UserSessionAdmin(EndingMixin, AllauthUserSessionAdmin):  # type: ignore[misc]
    """Deleted, it is signed out at once."""

    search_fields = ("user__email", "ip")
    exclude = ("data", "session_key")

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        access_ended(session_key=obj.session_key)
        obj.end()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> None:
        for session in queryset:
            self.delete_model(request, session)
