"""Admin pages about the usage outbox, and where our figures and Stripe's differ."""

from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import audit
from accounts.models import User
from billing.models import Reconciliation, StripeOutbox
from billing.stripe import reconciliation
from billing.stripe.errors import StripeFailure
from billing.stripe.usage_outbox.claims import CannotResend, resend
from web.admin import ReadOnlyAdmin


class ResendingAdmin(ReadOnlyAdmin):
    """Rows behind which there are outbox rows that may be sent again."""

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Looking is for all staff; resending needs Django's change permission on rows."""
        return request.user.has_perm("billing.change_stripeoutbox")

    def resend_all(self, request: HttpRequest, rows: QuerySet[StripeOutbox]) -> None:
        """Resend each row by itself, and report why a row cannot be resent."""
        assert isinstance(request.user, User)
        done = 0
        for pk in rows.values_list("pk", flat=True):
            try:
                resend(pk, by=request.user)
                done += 1
            except CannotResend as problem:
                self.message_user(request, str(problem), messages.WARNING)
        self.message_user(request, f"{done} to be sent again within a minute or two.")


@admin.register(StripeOutbox)
class StripeOutboxAdmin(ResendingAdmin):
    list_display = (
        "status", "team", "meter", "value", "amount_micro", "happened_at", "tries", "last_error",
        "sent_at", "identifier",
    )  # fmt: skip
    list_filter = ("status", "meter")
    list_select_related = ("team",)
    search_fields = ("identifier", "team__name", "team__slug", "customer", "last_error")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    actions = ("resend_rows",)

    @admin.action(
        description="Resend (asks Stripe first where it may have arrived)", permissions=["resend"]
    )
    def resend_rows(self, request: HttpRequest, rows: QuerySet[StripeOutbox]) -> None:
        self.resend_all(request, rows)


@admin.register(Reconciliation)
class ReconciliationAdmin(ResendingAdmin):
    list_display = (
        "state", "team", "meter", "scope", "starts_at", "ours", "theirs", "drift", "behind",
        "invoice", "checked_at",
    )  # fmt: skip
    list_filter = ("state", "scope", "meter")
    list_select_related = ("team",)
    search_fields = ("team__name", "team__slug", "invoice")
    ordering = ("-found_at",)
    actions = ("check_again", "resend_rows", "repair")

    @admin.display(description="Outbox rows")
    def behind(self, row: Reconciliation) -> SafeString:
        first, last = (int(moment.timestamp()) // 60 for moment in (row.starts_at, row.ends_at))
        query = {
            "team__id__exact": row.team_id,
            "meter": row.meter,
            "minute__gte": first,
            "minute__lt": last,
        }
        url = f"{reverse('admin:billing_stripeoutbox_changelist')}?{urlencode(query)}"
        return format_html('<a href="{}">Show</a>', url)

    @admin.action(description="Check again", permissions=["view"])
    def check_again(self, request: HttpRequest, rows: QuerySet[Reconciliation]) -> None:
        assert isinstance(request.user, User)
        for row in rows.select_related("team"):
            try:
                differ = reconciliation.recheck(row)
            except StripeFailure as problem:
                self.message_user(request, f"{row}: {problem}", messages.ERROR)
                continue
            audit.record(row.team, request.user, "reconciliation.checked", str(row), differ=differ)
            row.refresh_from_db()
            verdict = "agrees now" if row.state == row.State.SETTLED else f"differs by {row.drift}"
            self.message_user(request, f"{row.team}, {row.meter}, {row.starts_at:%c}: {verdict}.")

    @admin.action(
        description="Resend the outbox rows behind (asks Stripe first)", permissions=["resend"]
    )
    def resend_rows(self, request: HttpRequest, rows: QuerySet[Reconciliation]) -> None:
        for row in rows.select_related("team"):
            self.resend_all(request, reconciliation.source_rows(row))

    @admin.action(description="Repair a difference in credit", permissions=["resend"])
    def repair(self, request: HttpRequest, rows: QuerySet[Reconciliation]) -> None:
        assert isinstance(request.user, User)
        for row in rows.select_related("team"):
            try:
                self.message_user(request, reconciliation.repair(row, by=request.user))
            except (reconciliation.CannotRepair, StripeFailure) as problem:
                self.message_user(request, str(problem), messages.WARNING)
