"""The operator's view of Stripe: what it says of teams, what it told us, what needs a look."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing.admin_rows import ReadOnly
from billing.models import (
    Meter,
    OperatorAlert,
    StripeCustomer,
    StripeInvoice,
    Subscription,
    TopUp,
    WebhookEvent,
)
from billing.webhooks.inbox import replay


@admin.register(StripeCustomer)
class StripeCustomerAdmin(ReadOnly):
    list_display = ("team", "customer_id", "currency", "is_delinquent", "credit_cents")
    list_filter = ("is_delinquent",)
    search_fields = ("customer_id", "team__name", "team__slug")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    list_display = ("team", "plan", "status", "period_end", "cancel_at", "payment_problem")
    list_filter = ("status", "plan")
    search_fields = ("stripe_id", "customer_id", "team__name", "team__slug")


@admin.register(StripeInvoice)
class StripeInvoiceAdmin(ReadOnly):
    list_display = ("id", "team", "number", "status", "total_cents", "due_cents", "created_at")
    list_filter = ("status", "billing_reason")
    search_fields = ("id", "number", "team__name", "team__slug")


@admin.register(TopUp)
class TopUpAdmin(ReadOnly):
    list_display = ("created_at", "team", "amount_cents", "status", "payment_intent", "created_by")
    list_filter = ("status",)
    search_fields = ("id", "session_id", "payment_intent", "team__name", "team__slug")


@admin.register(Meter)
class MeterAdmin(ReadOnly):
    list_display = ("sku", "event_name", "meter_id")


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnly):
    list_display = ("received_at", "type", "id", "status", "attempts", "processed_at", "error")
    list_filter = ("status", "endpoint", "type")
    search_fields = ("id", "type", "error")
    date_hierarchy = "received_at"
    actions = ("replay",)

    @admin.action(description="Replay: carry out again", permissions=["view"])
    def replay(self, request: HttpRequest, events: QuerySet[WebhookEvent]) -> None:
        if not _may_act(request):
            messages.error(request, "Only superusers may replay Stripe's messages.")
            return
        assert isinstance(request.user, User)
        for event in events:
            replay(event, by=request.user)
        messages.success(request, f"{len(events)} messages are carried out again.")


@admin.register(OperatorAlert)
class OperatorAlertAdmin(ReadOnly):
    list_display = ("last_at", "sentence", "times", "raised_at", "settled_at")
    list_filter = (("settled_at", admin.EmptyFieldListFilter),)
    search_fields = ("key", "sentence")
    actions = ("settle",)

    @admin.action(description="Settled: nothing is left to do", permissions=["view"])
    def settle(self, request: HttpRequest, alerts: QuerySet[OperatorAlert]) -> None:
        if not _may_act(request):
            messages.error(request, "Only superusers may settle alerts.")
            return
        for one in alerts.filter(settled_at=None):
            OperatorAlert.objects.filter(pk=one.pk).update(settled_at=now())
            audit.record(None, request.user, "alert.settled", one.key)  # type: ignore[arg-type]


def _may_act(request: HttpRequest) -> bool:
    """These rows have no change permission to ask for: nobody edits them."""
    return bool(request.user.is_superuser)
