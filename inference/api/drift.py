"""Drift and feedback of a deployment on the wire."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import viewer_of
from inference.deployments import find_deployment
from inference.drift.comparison import measure_drift
from inference.feedback import summarise_feedback
from web.idempotency.api import APIView
from web.validation.fields import ChoiceField

VERDICTS = ("steady", "moderate", "large", "too_few")


class ShiftAnswer(serializers.Serializer[Any]):
    about = ChoiceField(choices=["feature", "text_length", "unknown_words", "answer"])
    feature = serializers.CharField(help_text="The column, of a feature.")
    stability_index = serializers.FloatField(
        source="index", help_text="Population stability index."
    )
    by_chance = serializers.FloatField(help_text="What the index reaches without any drift.")
    verdict = ChoiceField(choices=VERDICTS)
    rows = serializers.IntegerField(help_text="Rows of requests that were compared.")
    bin = serializers.CharField(help_text="The values that moved most.")
    share_in_training = serializers.FloatField(source="share_before")
    share_in_requests = serializers.FloatField(source="share_now")


class FeedbackSummaryAnswer(serializers.Serializer[Any]):
    right = serializers.IntegerField()
    wrong = serializers.IntegerField()
    corrected = serializers.IntegerField()


class DriftAnswer(serializers.Serializer[Any]):
    object = serializers.CharField(default="drift")
    requests = serializers.IntegerField(help_text="Sampled requests of the last seven days.")
    verdict = ChoiceField(choices=VERDICTS)
    shifts = ShiftAnswer(many=True)
    feedback = FeedbackSummaryAnswer()


class DriftEndpoint(APIView):
    @extend_schema(operation_id="read_drift", responses=DriftAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """How the requests differ from what the model learnt from, and what callers said."""
        deployment = find_deployment(viewer_of(request), deployment_id)
        drift = measure_drift(deployment)
        answer = {
            "requests": drift.requests,
            "verdict": drift.verdict,
            "shifts": drift.shifts,
            "feedback": summarise_feedback(deployment),
        }
        return Response(DriftAnswer(answer).data)
