"""Models on the wire: list, facts, the whole evaluation report, and the files."""

from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import viewer_of
from training.api_shapes import ModelAnswer
from training.downloads import zip_response
from training.models import TrainedModel
from training.report_reading import report_of
from web.api import listing


def find_model(request: Request, model_id: UUID) -> TrainedModel:
    models = TrainedModel.objects.visible_to(viewer_of(request))
    return get_object_or_404(models.select_related("dataset_version", "job"), pk=model_id)


class ModelsEndpoint(APIView):
    @extend_schema(operation_id="list_models", responses=ModelAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The team's models, newest first; `?project=` narrows them."""
        models = TrainedModel.objects.visible_to(viewer_of(request)).filter(archived_at=None)
        if project := request.query_params.get("project"):
            models = models.filter(project_id=project)
        found = models.select_related("dataset_version", "job")
        return listing(request, found, lambda model: ModelAnswer(model).data)


class ModelEndpoint(APIView):
    @extend_schema(operation_id="get_model", responses=ModelAnswer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """One model and its headline metrics."""
        return Response(ModelAnswer(find_model(request, model_id)).data)


class EvaluationEndpoint(APIView):
    @extend_schema(operation_id="get_model_evaluation", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, model_id: UUID) -> Response:
        """The whole report on the untouched test rows; every number names its method."""
        return Response(report_of(find_model(request, model_id)))


class DownloadEndpoint(APIView):
    @extend_schema(
        operation_id="download_model",
        responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, model_id: UUID) -> StreamingHttpResponse:
        """The artifact as a zip file: weights, ONNX, tokenizer, labels, report, manifest."""
        return zip_response(find_model(request, model_id))
