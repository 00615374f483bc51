"""The API of deployments and feedback."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken, TokenScope
from accounts.permissions import require_permission, viewer_of
from inference import deployments
from inference.deployments import MAX_NAME_LENGTH, find_deployment, find_deployment_to_change
from inference.feedback import record_feedback
from inference.models import Deployment, Feedback, RequestLog
from inference.queries.rollout import load_rollout
from inference.rollout import trials
from training.queries.lookups import find_model
from web.api import cursor_page
from web.idempotency.api import APIView
from web.validation.fields import ChoiceField, IntegerField


class DeploymentRequest(serializers.Serializer[Any]):
    model = serializers.UUIDField(help_text="The trained model to serve.")
    name = serializers.SlugField(
        max_length=MAX_NAME_LENGTH, help_text="What callers send as `model`; unique in the team."
    )


class DeploymentChange(serializers.Serializer[Any]):
    model = serializers.UUIDField(help_text="The model this name shall answer with.")


class CanaryRequest(serializers.Serializer[Any]):
    model = serializers.UUIDField(help_text="The model that answers a share of requests.")
    percent = IntegerField(min_value=1, max_value=99, help_text="Its share of requests.")


class ShadowModelRequest(serializers.Serializer[Any]):
    model = serializers.UUIDField(help_text="The model that is asked the same and compared.")


class DeploymentAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.CharField(default="deployment")
    name = serializers.CharField()
    model = serializers.UUIDField(source="model_id")
    previous_model = serializers.UUIDField(source="previous_model_id", allow_null=True)
    canary_model = serializers.UUIDField(source="canary_model_id", allow_null=True)
    canary_percent = serializers.IntegerField(allow_null=True)
    shadow_model = serializers.UUIDField(source="shadow_model_id", allow_null=True)
    project = serializers.UUIDField(source="project_id")
    status = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)

    def get_status(self, deployment: Deployment) -> str:
        return "retired" if deployment.retired_at else "live"


class ModelTrafficAnswer(serializers.Serializer[Any]):
    model = serializers.UUIDField(source="model_id")
    requests = serializers.IntegerField()
    failures = serializers.IntegerField(source="errors")
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)


class RolloutAnswer(serializers.Serializer[Any]):
    object = serializers.CharField(default="rollout")
    deployed = ModelTrafficAnswer()
    canary = ModelTrafficAnswer(allow_null=True)
    shadow = ModelTrafficAnswer(allow_null=True)
    shadow_compared = serializers.IntegerField()
    shadow_agreed = serializers.IntegerField()


class FeedbackRequest(serializers.Serializer[Any]):
    request_id = serializers.CharField(max_length=60, help_text="The id of the answer.")
    score = ChoiceField(
        choices=[-1, 1], required=False, allow_null=True, help_text="1 right, -1 wrong."
    )
    correction = serializers.CharField(
        max_length=10_000, required=False, allow_blank=True, help_text="The label it should be."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("score") is None and not attrs.get("correction"):
            raise serializers.ValidationError("Send a score, a correction, or both.")
        return attrs


class FeedbackAnswer(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="feedback")
    request_id = serializers.CharField()
    score = serializers.IntegerField(allow_null=True)
    correction = serializers.CharField()
    person = serializers.CharField(
        source="person.email",
        default=None,
        allow_null=True,
        help_text="Who judged the answer on a page; null: a caller with an API token.",
    )
    created_at = serializers.DateTimeField()


class DeploymentsEndpoint(APIView):
    """What the team serves."""

    @extend_schema(
        operation_id="list_deployments",
        parameters=[OpenApiParameter("name", str, description="Only the one of this name.")],
        responses=DeploymentAnswer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = Deployment.objects.visible_to(viewer_of(request))
        if name := request.query_params.get("name"):
            rows = rows.filter(name=name)
        return cursor_page(request, rows, DeploymentAnswer().to_representation)

    @extend_schema(
        operation_id="deploy", request=DeploymentRequest, responses={201: DeploymentAnswer}
    )
    def post(self, request: Request) -> Response:
        body = DeploymentRequest(data=request.data)
        body.is_valid(raise_exception=True)
        viewer = viewer_of(request)
        model = find_model(viewer, body.validated_data["model"])
        require_permission(viewer, model.team, "write")
        deployment = deployments.deploy(model, body.validated_data["name"], viewer)
        return Response(DeploymentAnswer(deployment).data, status=status.HTTP_201_CREATED)


class DeploymentEndpoint(APIView):
    """One deployment."""

    @extend_schema(operation_id="read_deployment", responses=DeploymentAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        return Response(DeploymentAnswer(find_deployment(viewer_of(request), deployment_id)).data)

    @extend_schema(
        operation_id="move_deployment", request=DeploymentChange, responses=DeploymentAnswer
    )
    def patch(self, request: Request, deployment_id: UUID) -> Response:
        """Move the name to another model. Requests under way finish with the old one."""
        deployment = find_deployment(viewer_of(request), deployment_id)
        body = DeploymentChange(data=request.data)
        body.is_valid(raise_exception=True)
        viewer = viewer_of(request)
        require_permission(viewer, deployment.team, "write")
        deployments.move(deployment, find_model(viewer, body.validated_data["model"]), viewer)
        return Response(DeploymentAnswer(deployment).data)

    @extend_schema(operation_id="retire_deployment", responses=DeploymentAnswer)
    def delete(self, request: Request, deployment_id: UUID) -> Response:
        """Stop serving, for 30 days restorably. The name is free again; its usage and log stay. 409
        names the assistants that still use it."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        deployments.retire(deployment, viewer)
        return Response(DeploymentAnswer(deployment).data)


class RestoreEndpoint(APIView):
    @extend_schema(operation_id="restore_deployment", request=None, responses=DeploymentAnswer)
    def post(self, request: Request, deployment_id: UUID) -> Response:
        """Serve again what was retired, under the same name. 410 after 30 days; 409 where another
        deployment has the name now."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        deployments.restore(deployment, viewer)
        return Response(DeploymentAnswer(deployment).data)


class RolloutEndpoint(APIView):
    """What canary and shadow have shown so far, of the sampled requests."""

    @extend_schema(operation_id="read_rollout", responses=RolloutAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        deployment = find_deployment(viewer_of(request), deployment_id)
        return Response(RolloutAnswer(load_rollout(deployment)).data)


class CanaryEndpoint(APIView):
    @extend_schema(operation_id="start_canary", request=CanaryRequest, responses=DeploymentAnswer)
    def put(self, request: Request, deployment_id: UUID) -> Response:
        """Let another model answer a share of requests."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        body = CanaryRequest(data=request.data)
        body.is_valid(raise_exception=True)
        model = find_model(viewer, body.validated_data["model"])
        trials.start_canary(deployment, model, body.validated_data["percent"], viewer)
        return Response(DeploymentAnswer(deployment).data)

    @extend_schema(operation_id="end_canary", responses=DeploymentAnswer)
    def delete(self, request: Request, deployment_id: UUID) -> Response:
        """All requests go to the deployed model again."""
        deployment = find_deployment_to_change(viewer_of(request), deployment_id)
        trials.end_canary(deployment, viewer_of(request))
        return Response(DeploymentAnswer(deployment).data)


class ShadowEndpoint(APIView):
    @extend_schema(
        operation_id="start_shadow", request=ShadowModelRequest, responses=DeploymentAnswer
    )
    def put(self, request: Request, deployment_id: UUID) -> Response:
        """Ask another model the same and compare; its answers reach nobody and cost nothing."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        body = ShadowModelRequest(data=request.data)
        body.is_valid(raise_exception=True)
        trials.start_shadow(deployment, find_model(viewer, body.validated_data["model"]), viewer)
        return Response(DeploymentAnswer(deployment).data)

    @extend_schema(operation_id="end_shadow", responses=DeploymentAnswer)
    def delete(self, request: Request, deployment_id: UUID) -> Response:
        """Stop asking the other model."""
        deployment = find_deployment_to_change(viewer_of(request), deployment_id)
        trials.end_shadow(deployment, viewer_of(request))
        return Response(DeploymentAnswer(deployment).data)


class RollbackEndpoint(APIView):
    @extend_schema(operation_id="roll_back_deployment", request=None, responses=DeploymentAnswer)
    def post(self, request: Request, deployment_id: UUID) -> Response:
        """Answer with the model that the name had before."""
        deployment = find_deployment_to_change(viewer_of(request), deployment_id)
        trials.roll_back(deployment, viewer_of(request))
        return Response(DeploymentAnswer(deployment).data)


class FeedbackEndpoint(APIView):
    """What a caller thought of an answer. Saying it again replaces what was said."""

    @property
    def required_scope(self) -> str:
        """Who asks models gives feedback; to read that of all takes the right to read."""
        return TokenScope.READ if self.request.method in SAFE_METHODS else TokenScope.INFERENCE

    @extend_schema(
        operation_id="list_feedback",
        parameters=[
            OpenApiParameter("deployment", UUID, description="On its requests in the log only."),
            OpenApiParameter("request_id", str, description="On this request only."),
        ],
        responses=FeedbackAnswer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Feedback on the team's requests, newest first."""
        viewer, query = viewer_of(request), request.query_params
        rows = Feedback.objects.visible_to(viewer).select_related("person")
        if deployment_id := query.get("deployment"):
            asked = Deployment.objects.visible_to(viewer).filter(pk=deployment_id)
            logged = RequestLog.objects.filter(deployment__in=asked)
            rows = rows.filter(request_id__in=logged.values("request_id"))
        if request_id := query.get("request_id"):
            rows = rows.filter(request_id=request_id)
        return cursor_page(request, rows, FeedbackAnswer().to_representation)

    @extend_schema(
        operation_id="give_feedback", request=FeedbackRequest, responses={201: FeedbackAnswer}
    )
    def post(self, request: Request) -> Response:
        body = FeedbackRequest(data=request.data)
        body.is_valid(raise_exception=True)
        assert isinstance(request.auth, ApiToken)  # HasScope lets nothing else through.
        feedback = record_feedback(request.auth.team, **body.validated_data)
        return Response(FeedbackAnswer(feedback).data, status=status.HTTP_201_CREATED)
