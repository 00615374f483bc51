from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    label = "billing"

    def ready(self) -> None:
        self._grant_free_credit_to_newcomers()
        from accounts.models import EventGroup
        from accounts.notifications.events import EventType, register_events
        from accounts.storage_quota import register_quota
        from accounts.tokens import register_spending
        from billing.budgets.budget import get_budget
        from billing.models import WebhookEvent
        from billing.statements.statement import spent_by_tokens
        from web.queues.readings import register_queue

        register_quota(lambda team: get_budget(team).plan.storage_bytes)
        register_spending(spent_by_tokens)
        waiting = WebhookEvent.Status.WAITING
        register_queue(
            "stripe events", lambda: WebhookEvent.objects.filter(status=waiting), "received_at"
        )

        budget, payment = EventGroup.BUDGET, EventGroup.PAYMENT
        register_events(
            EventType("budget.half_spent", budget, "Half of the spend cap is used"),
            EventType("budget.nearly_spent", budget, "80% of the spend cap is used"),
            EventType("budget.spent", budget, "The spend cap is reached"),
            EventType(
                "budget.forecast_over", budget, "The month is likely to exceed the spend cap"
            ),
            EventType("budget.held", budget, "Unusual spending was stopped"),
            EventType("credit.granted", budget, "Credit was added"),
            EventType("credit.expiring", budget, "Credit is about to expire"),
            EventType("credit.expired", budget, "Credit has expired"),
            EventType("credit.taken_back", budget, "Credit was taken back with its payment"),
            EventType("payment.failed", payment, "A payment failed"),
            EventType("payment.action_required", payment, "A payment needs your confirmation"),
            position=40,
        )

    def _grant_free_credit_to_newcomers(self) -> None:
        from allauth.account.signals import email_confirmed, user_signed_up

        from billing.credit.allowances import grant_free_credit

        once = {"weak": False, "dispatch_uid": "billing.free-credit"}
        user_signed_up.connect(lambda user, **_: grant_free_credit(user), **once)
        email_confirmed.connect(
            lambda email_address, **_: grant_free_credit(email_address.user), **once
        )
