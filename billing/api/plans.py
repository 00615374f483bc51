"""Plans and the team's subscription on the wire. Paying is for browsers: a token never pays."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken
from billing.budgets.budget import get_budget
from billing.credit import grants
from billing.models import Plan, Subscription
from billing.stripe import gateway
from web.idempotency.api import APIView


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
    billing = serializers.ChoiceField(choices=["stripe", "local"])
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
            "credit_micros": grants.credit_balance_micro(team),
        }
        return Response(SubscriptionAnswer(answer).data)
