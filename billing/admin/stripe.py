"""Admin pages about Stripe: customers, messages and alerts. The rest is in its dashboard."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing.models import OperatorAlert, StripeCustomer, WebhookEvent
from billing.stripe import gateway
from billing.stripe.account import forget_customer
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
