"""The API of deployments and feedback."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import require, viewer_of
from accounts.models import ApiToken
from inference import deploy
from inference.deploy import NAME_LENGTH
from inference.feedback import give_feedback
from inference.models import Deployment
from training.models import TrainedModel
from web.api import listing


class DeploymentRequest(serializers.Serializer[Any]):
    model = serializers.UUIDField(help_text="The trained model to serve.")
    name = serializers.SlugField(
        max_length=NAME_LENGTH, help_text="What callers send as `model`; unique in the team."
    )


class DeploymentChange(serializers.Serializer[Any]):
    model = serializers.UUIDField(help_text="The model this name shall answer with.")


class DeploymentAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.CharField(default="deployment")
    name = serializers.CharField()
    model = serializers.UUIDField(source="model_id")
    project = serializers.UUIDField(source="project_id")
    status = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)

    def get_status(self, deployment: Deployment) -> str:
        return "retired" if deployment.retired_at else "live"


class FeedbackRequest(serializers.Serializer[Any]):
    request_id = serializers.CharField(max_length=60, help_text="The id of the answer.")
    score = serializers.ChoiceField(
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
    object = serializers.CharField(default="feedback")
    request_id = serializers.CharField()
    score = serializers.IntegerField(allow_null=True)
    correction = serializers.CharField()
    created_at = serializers.DateTimeField()


class DeploymentsEndpoint(APIView):
    """What the team serves."""

    @extend_schema(operation_id="list_deployments", responses=DeploymentAnswer(many=True))
    def get(self, request: Request) -> Response:
        rows = Deployment.objects.visible_to(viewer_of(request))
        return listing(request, rows, DeploymentAnswer().to_representation)

    @extend_schema(
        operation_id="deploy", request=DeploymentRequest, responses={201: DeploymentAnswer}
    )
    def post(self, request: Request) -> Response:
        wanted = DeploymentRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        viewer = viewer_of(request)
        model = _find_model(viewer, wanted.validated_data["model"])
        require(viewer, model.team, "write")
        made = deploy.deploy(model, wanted.validated_data["name"], viewer)
        return Response(DeploymentAnswer(made).data, status=status.HTTP_201_CREATED)


class DeploymentEndpoint(APIView):
    """One deployment."""

    @extend_schema(operation_id="read_deployment", responses=DeploymentAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        return Response(DeploymentAnswer(find_deployment(request, deployment_id)).data)

    @extend_schema(
        operation_id="move_deployment", request=DeploymentChange, responses=DeploymentAnswer
    )
    def patch(self, request: Request, deployment_id: UUID) -> Response:
        """Move the name to another model. Requests under way finish with the old one."""
        found = find_deployment(request, deployment_id)
        wanted = DeploymentChange(data=request.data)
        wanted.is_valid(raise_exception=True)
        viewer = viewer_of(request)
        require(viewer, found.team, "write")
        deploy.move(found, _find_model(viewer, wanted.validated_data["model"]), viewer)
        return Response(DeploymentAnswer(found).data)

    @extend_schema(operation_id="retire_deployment", responses=DeploymentAnswer)
    def delete(self, request: Request, deployment_id: UUID) -> Response:
        """Stop serving. The name is free again; its usage and log stay."""
        found = find_deployment(request, deployment_id)
        viewer = viewer_of(request)
        require(viewer, found.team, "write")
        deploy.retire(found, viewer)
        return Response(DeploymentAnswer(found).data)


class FeedbackEndpoint(APIView):
    """What a caller thought of an answer. Saying it again replaces what was said."""

    required_scope = "inference"

    @extend_schema(
        operation_id="give_feedback", request=FeedbackRequest, responses={201: FeedbackAnswer}
    )
    def post(self, request: Request) -> Response:
        wanted = FeedbackRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        assert isinstance(request.auth, ApiToken)  # HasScope lets nothing else through.
        given = give_feedback(request.auth.team, **wanted.validated_data)
        return Response(FeedbackAnswer(given).data, status=status.HTTP_201_CREATED)


def find_deployment(request: Request, deployment_id: UUID) -> Deployment:
    found = Deployment.objects.visible_to(viewer_of(request)).select_related("team", "model")
    return get_object_or_404(found, pk=deployment_id)


def _find_model(viewer: object, model_id: UUID) -> TrainedModel:
    found = TrainedModel.objects.visible_to(viewer).select_related("team", "project")
    return get_object_or_404(found, pk=model_id)
