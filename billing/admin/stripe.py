"""Admin pages about Stripe: customers, messages, alerts, the usage outbox, and differences.

The rest is in its dashboard.
"""

from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing.models import (
    OperatorAlert,
    Reconciliation,
    StripeCustomer,
    StripeOutbox,
    WebhookEvent,
)
from billing.stripe import gateway, reconciliation
from billing.stripe.account import forget_customer
from billing.stripe.errors import StripeFailure
from billing.stripe.usage_outbox.claims import CannotResend, resend
from billing.stripe.webhooks.inbox import replay
from web.admin import ReadOnlyAdmin


class SuperuserActionsAdmin(ReadOnlyAdmin):
    """Read-only rows have no change permission, so actions are for superusers."""

    def has_superuser_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)


@admin.register(StripeCustomer)
class StripeCustomerAdmin(SuperuserActionsAdmin):
    """The way to a team at Stripe: its subscription, invoices and payments are looked at there."""

    list_display = ("team", "customer_id", "at_stripe", "account")
    list_filter = ("account",)
    search_fields = ("customer_id", "team__name", "team__slug")
    actions = ("forget",)

    @admin.display(description="At Stripe")
    def at_stripe(self, row: StripeCustomer) -> str:
        if not row.customer_id:
            return ""
        mode = "" if gateway.is_live_mode() else "test/"
        url = f"https://dashboard.stripe.com/{mode}customers/{row.customer_id}"
        return format_html('<a href="{}" rel="noopener">Dashboard</a>', url)

    @admin.action(
        description="Forget the customer: Stripe does not know it any more",
        permissions=["superuser"],
    )
    def forget(self, request: HttpRequest, rows: QuerySet[StripeCustomer]) -> None:
        assert isinstance(request.user, User)
        for row in rows.select_related("team"):
            forget_customer(row, by=request.user, reason="by hand")
        messages.success(
            request,
            "1 customer is made anew when it is needed."
            if len(rows) == 1
            else f"{len(rows)} customers are made anew when they are needed.",
        )


@admin.register(WebhookEvent)
class WebhookEventAdmin(SuperuserActionsAdmin):
    list_display = ("received_at", "type", "id", "status", "attempts", "processed_at", "error")
    list_filter = ("status", "endpoint", "type")
    search_fields = ("id", "type", "error")
    date_hierarchy = "received_at"
    actions = ("replay",)

    @admin.action(description="Replay: carry out again", permissions=["superuser"])
    def replay(self, request: HttpRequest, events: QuerySet[WebhookEvent]) -> None:
        assert isinstance(request.user, User)
        for event in events:
            replay(event, by=request.user)
        messages.success(
            request,
            "1 message is carried out again."
            if len(events) == 1
            else f"{len(events)} messages are carried out again.",
        )


@admin.register(OperatorAlert)
class OperatorAlertAdmin(SuperuserActionsAdmin):
    list_display = ("last_at", "sentence", "times", "raised_at", "settled_at")
    list_filter = (("settled_at", admin.EmptyFieldListFilter),)
    search_fields = ("key", "sentence")
    actions = ("settle",)

    @admin.action(description="Settled: nothing is left to do", permissions=["superuser"])
    def settle(self, request: HttpRequest, alerts: QuerySet[OperatorAlert]) -> None:
        assert isinstance(request.user, User)
        for alert in alerts.filter(settled_at=None):
            OperatorAlert.objects.filter(pk=alert.pk).update(settled_at=now())
            audit.record(None, request.user, "alert.settled", alert.key)


class RepairingAdmin(ReadOnlyAdmin):
    """Looking is for all staff; whoever acts may change the outbox."""

    def has_repair_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_stripeoutbox")


@admin.register(StripeOutbox)
class StripeOutboxAdmin(RepairingAdmin):
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
        description="Resend (asks Stripe first where it may have arrived)", permissions=["repair"]
    )
    def resend_rows(self, request: HttpRequest, rows: QuerySet[StripeOutbox]) -> None:
        """Each row by itself; says why a row cannot be resent."""
        assert isinstance(request.user, User)
        done = 0
        for pk in rows.values_list("pk", flat=True):
            try:
                resend(pk, by=request.user)
                done += 1
            except CannotResend as problem:
                self.message_user(request, str(problem), messages.WARNING)
        self.message_user(request, f"{done} to be sent again within a minute or two.")


@admin.register(Reconciliation)
class ReconciliationAdmin(RepairingAdmin):
    """The rows that make up a differing figure are resent from their own list."""

    list_display = (
        "state", "team", "meter", "scope", "starts_at", "ours", "theirs", "drift", "behind",
        "invoice", "checked_at",
    )  # fmt: skip
    list_filter = ("state", "scope", "meter")
    list_select_related = ("team",)
    search_fields = ("team__name", "team__slug", "invoice")
    ordering = ("-found_at",)
    actions = ("check_again", "repair")

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

    @admin.action(description="Repair a difference in credit", permissions=["repair"])
    def repair(self, request: HttpRequest, rows: QuerySet[Reconciliation]) -> None:
        assert isinstance(request.user, User)
        for row in rows.select_related("team"):
            try:
                self.message_user(request, reconciliation.repair(row, by=request.user))
            except (reconciliation.CannotRepair, StripeFailure) as problem:
                self.message_user(request, str(problem), messages.WARNING)
