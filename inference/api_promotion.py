"""The promotion rule of a deployment on the wire."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import require, viewer_of
from inference import promotion
from inference.api import find_deployment
from inference.models import PromotionVerdict
from web.api import listing


class RuleRequest(serializers.Serializer[Any]):
    metric = serializers.CharField(max_length=40, help_text="A metric of the evaluation report.")
    threshold = serializers.FloatField(
        required=False, allow_null=True, help_text="At least this; at most, for errors and losses."
    )
    slice_threshold = serializers.FloatField(
        required=False, allow_null=True, help_text="The same in every part of the test rows."
    )
    not_worse = serializers.BooleanField(
        default=True, help_text="Not surely worse than the deployed model on the same rows."
    )


class RuleAnswer(RuleRequest):
    object = serializers.CharField(default="promotion_rule")
    changed_at = serializers.DateTimeField()


class VerdictAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    object = serializers.CharField(default="promotion_verdict")
    model = serializers.UUIDField(source="model_id")
    passed = serializers.BooleanField()
    rule = serializers.CharField()
    checks = serializers.JSONField()
    created_at = serializers.DateTimeField()


class RuleEndpoint(APIView):
    @extend_schema(operation_id="read_promotion_rule", responses=RuleAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """What a model must show before this name moves to it. 404 without a rule."""
        rule = promotion.rule_of(find_deployment(request, deployment_id))
        if rule is None:
            raise Http404
        return Response(RuleAnswer(rule).data)

    @extend_schema(operation_id="set_promotion_rule", request=RuleRequest, responses=RuleAnswer)
    def put(self, request: Request, deployment_id: UUID) -> Response:
        """Set the rule. It gates every move of the name, by people and by plans."""
        found, viewer = find_deployment(request, deployment_id), viewer_of(request)
        wanted = RuleRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        require(viewer, found.team, "write")
        rule = promotion.set_rule(found, promotion.Wanted(**wanted.validated_data), viewer)
        return Response(RuleAnswer(rule).data)

    @extend_schema(operation_id="drop_promotion_rule", responses={204: None})
    def delete(self, request: Request, deployment_id: UUID) -> Response:
        found, viewer = find_deployment(request, deployment_id), viewer_of(request)
        require(viewer, found.team, "write")
        promotion.drop_rule(found, viewer)
        return Response(status=204)


class VerdictsEndpoint(APIView):
    @extend_schema(operation_id="list_promotion_verdicts", responses=VerdictAnswer(many=True))
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """Every judgement of a model by the rule, with its reasons."""
        found = find_deployment(request, deployment_id)
        rows = PromotionVerdict.objects.filter(deployment=found)
        return listing(request, rows, VerdictAnswer().to_representation)
