"""Usage, statement, plans and subscription on the wire. Amounts are integer micro-USD.

Paying is for browsers: a token never pays.
"""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken
from billing.budgets.budget import get_budget
from billing.budgets.forecast import forecast_micro
from billing.credit.grants import credit_balance_micro
from billing.models import Plan, Subscription, UsageSegment
from billing.months import parse_month
from billing.statements.statement import Statement, build_statement
from billing.stripe import gateway
from web.api import cursor_page
from web.idempotency.api import APIView
from web.validation.fields import ChoiceField

MONTH = OpenApiParameter("month", str, description='Such as "2026-11"; this month if left out.')


class AmountAnswer(serializers.Serializer[Any]):
    charged_micros = serializers.IntegerField(source="charged_micro")
    refunded_micros = serializers.IntegerField(source="refunded_micro")
    net_micros = serializers.IntegerField(source="net_micro")


class AttemptAnswer(AmountAnswer):
    attempt = serializers.IntegerField(source="run.fence")
    compute = serializers.CharField(source="run.rate.sku")
    devices = serializers.IntegerField(source="run.devices")
    started_at = serializers.DateTimeField(source="run.started_at")
    ended_at = serializers.DateTimeField(source="run.ended_at", allow_null=True)
    end_reason = serializers.CharField(source="run.end_reason")
    device_ms = serializers.IntegerField()
    notes = serializers.ListField(child=serializers.CharField())


class CostAnswer(AmountAnswer):
    source = serializers.CharField()  # type: ignore[assignment]
    id = serializers.UUIDField(source="subject_id", allow_null=True)
    name = serializers.CharField(help_text="Empty for what no longer exists.")


class JobUseAnswer(CostAnswer):
    device_ms = serializers.IntegerField()
    attempts = AttemptAnswer(many=True)


class DeploymentUseAnswer(CostAnswer):
    tokens = serializers.IntegerField(source="units")
    requests = serializers.IntegerField()


class DayAnswer(serializers.Serializer[Any]):
    date = serializers.DateField(source="on")
    amount_micros = serializers.IntegerField(source="amount_micro")


class TokenUseAnswer(serializers.Serializer[Any]):
    token_prefix = serializers.CharField(source="prefix")
    tokens = serializers.IntegerField(source="units")
    requests = serializers.IntegerField()
    amount_micros = serializers.IntegerField(source="amount_micro")


class UnitUseAnswer(serializers.Serializer[Any]):
    """Part of what the assistant cost among `deployments`."""

    source = serializers.CharField(source="by.source")  # type: ignore[assignment]
    kind = serializers.CharField(
        source="sku", help_text="assistant-answers, voice-in-seconds or voice-out-characters."
    )
    units = serializers.IntegerField()
    requests = serializers.IntegerField()
    amount_micros = serializers.IntegerField(source="amount_micro")


class OtherLineAnswer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    note = serializers.CharField()
    amount_micros = serializers.IntegerField(source="amount_micro")


class CreditLineAnswer(serializers.Serializer[Any]):
    what = serializers.CharField()
    note = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    amount_micros = serializers.IntegerField(source="amount_micro")


class CreditAnswer(serializers.Serializer[Any]):
    """Opening plus all lines is the closing balance."""

    opening_micros = serializers.IntegerField(source="opening_micro")
    closing_micros = serializers.IntegerField(source="closing_micro")
    used_micros = serializers.IntegerField(source="used_micro")
    lines = CreditLineAnswer(many=True)


class UsageAnswer(serializers.Serializer[Any]):
    """One month's usage by day, job, deployment and API token."""

    object = serializers.CharField(read_only=True, default="usage")
    month = serializers.CharField(source="month.code")
    as_of = serializers.DateTimeField()
    total_micros = serializers.IntegerField(source="total_micro")
    days = DayAnswer(many=True)
    jobs = JobUseAnswer(many=True)
    deployments = DeploymentUseAnswer(many=True)
    tokens = TokenUseAnswer(many=True)
    voice = UnitUseAnswer(many=True)
    answers = UnitUseAnswer(many=True)
    others = OtherLineAnswer(many=True)


class StatementLineAnswer(serializers.Serializer[Any]):
    """`about` is the job, deployment or assistant that caused it, or an adjustment's note."""

    about = serializers.CharField()
    amount_micros = serializers.IntegerField()


class StatementAnswer(serializers.Serializer[Any]):
    """The bill so far, and what may still be spent."""

    object = serializers.CharField()
    month = serializers.CharField(source="statement.month.code")
    is_final = serializers.BooleanField(source="statement.month.is_over")
    as_of = serializers.DateTimeField(source="statement.as_of")
    currency = serializers.CharField()
    total_micros = serializers.IntegerField(source="statement.total_micro")
    cap_micros = serializers.IntegerField(source="budget.cap_micro", allow_null=True)
    left_micros = serializers.IntegerField(source="budget.left_micro", allow_null=True)
    reserved_micros = serializers.IntegerField(source="budget.reserved_micro")
    plan = serializers.CharField(source="budget.plan_id")
    mode = ChoiceField(["prepaid", "postpaid"])
    on_hold = serializers.BooleanField()
    due_micros = serializers.IntegerField(source="statement.due_micro")
    forecast_micros = serializers.IntegerField(allow_null=True)
    balance_micros = serializers.IntegerField()
    credit = CreditAnswer(source="statement.credit")
    days = DayAnswer(source="statement.days", many=True)
    lines = StatementLineAnswer(many=True, help_text="They add up to the total.")


class SegmentAnswer(serializers.Serializer[Any]):
    """One metered stretch of one attempt."""

    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    attempt = serializers.IntegerField(source="run.fence")
    from_ms = serializers.IntegerField(source="span.lower")
    to_ms = serializers.IntegerField(source="span.upper")
    device_ms = serializers.IntegerField()
    amount_micros = serializers.IntegerField(source="amount_micro")
    recorded_at = serializers.DateTimeField()


def _statement(request: Request) -> Statement:
    assert isinstance(request.auth, ApiToken)  # HasScope has seen to it.
    return build_statement(request.auth.team, parse_month(request.query_params.get("month")))


class UsageEndpoint(APIView):
    """What the token's team used in a month."""

    @extend_schema(operation_id="usage", parameters=[MONTH], responses=UsageAnswer)
    def get(self, request: Request) -> Response:
        return Response(UsageAnswer(_statement(request)).data)


class SegmentsEndpoint(APIView):
    """The metered stretches themselves, newest first; `source` narrows them to one job."""

    @extend_schema(operation_id="usage_segments", responses=SegmentAnswer(many=True))
    def get(self, request: Request) -> Response:
        rows = UsageSegment.objects.visible_to(request.auth).select_related("run")
        if source := request.query_params.get("source"):
            rows = rows.filter(source=source)
        return cursor_page(request, rows, SegmentAnswer().to_representation, order="-recorded_at")


class StatementEndpoint(APIView):
    """The month's bill so far."""

    @extend_schema(operation_id="statement", parameters=[MONTH], responses=StatementAnswer)
    def get(self, request: Request) -> Response:
        statement = _statement(request)
        budget = get_budget(statement.team)
        # One line per cause and per adjustment; they add up to the total.
        lines = [(cause.source, cause.net_micro) for cause in statement.cost_sources]
        lines += [(other.note, other.amount_micro) for other in statement.others]
        answer = {
            "object": "statement",
            "currency": "usd",
            "statement": statement,
            "budget": budget,
            "mode": "prepaid" if budget.is_prepaid else "postpaid",
            "on_hold": budget.held_at is not None,
            "forecast_micros": None if statement.month.is_over else forecast_micro(budget),
            "balance_micros": credit_balance_micro(statement.team),
            "lines": [{"about": about, "amount_micros": micro} for about, micro in lines],
        }
        return Response(StatementAnswer(answer).data)


class PlanAnswer(serializers.Serializer[Any]):
    """What may be bought."""

    id = serializers.SlugField(source="code")
    name = serializers.CharField()
    monthly_cents = serializers.IntegerField()
    concurrency = serializers.IntegerField()
    included_micros = serializers.IntegerField(source="included_micro")
    features = serializers.ListField(child=serializers.CharField())


class SubscriptionAnswer(serializers.Serializer[Any]):
    """What the team has. Without Stripe, or without a subscription, most of it is null."""

    object = serializers.CharField()
    billing = ChoiceField(choices=["stripe", "local"])
    plan = serializers.CharField()
    status = serializers.CharField(source="row.status", allow_null=True)
    period_start = serializers.DateTimeField(source="row.period_start", allow_null=True)
    period_end = serializers.DateTimeField(source="row.period_end", allow_null=True)
    cancel_at = serializers.DateTimeField(source="row.cancel_at", allow_null=True)
    payment_problem = serializers.CharField(allow_null=True)
    credit_micros = serializers.IntegerField()


class PlansEndpoint(APIView):
    """Every plan on offer, cheapest first."""

    @extend_schema(operation_id="plans", responses=PlanAnswer(many=True))
    def get(self, request: Request) -> Response:
        plans = Plan.objects.filter(is_offered=True).order_by("order")
        data = PlanAnswer(plans, many=True).data
        return Response({"object": "list", "data": data, "has_more": False})


class SubscriptionEndpoint(APIView):
    """The plan and subscription of the token's team."""

    @extend_schema(operation_id="subscription", responses=SubscriptionAnswer)
    def get(self, request: Request) -> Response:
        assert isinstance(request.auth, ApiToken)  # HasScope has seen to it.
        team = request.auth.team
        row = Subscription.objects.filter(team=team).first()
        answer = {
            "object": "subscription",
            "billing": "stripe" if gateway.is_enabled() else "local",
            "plan": get_budget(team).plan_id,
            "row": row,
            "payment_problem": (row and row.payment_problem) or None,
            "credit_micros": credit_balance_micro(team),
        }
        return Response(SubscriptionAnswer(answer).data)
