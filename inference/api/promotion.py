"""The promotion rule of a deployment on the wire."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import require_permission, viewer_of
from inference import promotion
from inference.deployments import find_deployment, find_deployment_to_change
from inference.models import PromotionVerdict
from inference.models.promotion import Check
from web.api import cursor_page
from web.idempotency.api import APIView
from web.reference.hints import DescribedField
from web.validation.fields import FloatField


class PromotionRuleRequest(serializers.Serializer[Any]):
    metric = serializers.CharField(max_length=40, help_text="A metric of the evaluation report.")
    threshold = FloatField(
        required=False, allow_null=True, help_text="At least this; at most, for errors and losses."
    )
    slice_threshold = FloatField(
        required=False, allow_null=True, help_text="The same in every part of the test rows."
    )
    not_worse = serializers.BooleanField(
        default=True, help_text="Not surely worse than the deployed model on the same rows."
    )


class PromotionRuleAnswer(PromotionRuleRequest):
    object = serializers.CharField(default="promotion_rule")
    changed_at = serializers.DateTimeField()


class VerdictAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    object = serializers.CharField(default="promotion_verdict")
    model = serializers.UUIDField(source="model_id")
    passed = serializers.BooleanField()
    rule = serializers.CharField()
    checks = DescribedField(list[Check])
    created_at = serializers.DateTimeField()


class PromotionRuleEndpoint(APIView):
    @extend_schema(operation_id="read_promotion_rule", responses=PromotionRuleAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """What a model must show before this name moves to it. 404 without a rule."""
        rule = promotion.rule_of(find_deployment(viewer_of(request), deployment_id))
        if rule is None:
            raise Http404
        return Response(PromotionRuleAnswer(rule).data)

    @extend_schema(
        operation_id="set_promotion_rule",
        request=PromotionRuleRequest,
        responses=PromotionRuleAnswer,
    )
    def put(self, request: Request, deployment_id: UUID) -> Response:
        """Set the rule. It gates every move of the name, by people and by plans."""
        deployment, viewer = find_deployment(viewer_of(request), deployment_id), viewer_of(request)
        body = PromotionRuleRequest(data=request.data)
        body.is_valid(raise_exception=True)
        require_permission(viewer, deployment.team, "write")
        rule = promotion.set_rule(deployment, promotion.RuleInput(**body.validated_data), viewer)
        return Response(PromotionRuleAnswer(rule).data)

    @extend_schema(operation_id="drop_promotion_rule", responses={204: None})
    def delete(self, request: Request, deployment_id: UUID) -> Response:
        """Remove the rule. The name may move to any model of its task again."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        promotion.delete_rule(deployment, viewer)
        return Response(status=204)


class PromotionVerdictsEndpoint(APIView):
    @extend_schema(operation_id="list_promotion_verdicts", responses=VerdictAnswer(many=True))
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """Every judgement of a model by the rule, with its reasons."""
        deployment = find_deployment(viewer_of(request), deployment_id)
        rows = PromotionVerdict.objects.filter(deployment=deployment)
        return cursor_page(request, rows, VerdictAnswer().to_representation)
