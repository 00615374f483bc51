"""Models on the wire: list, facts, the whole evaluation report, and the files."""

from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import require_permission, viewer_of
from training.analysis.comparison import compare_models
from training.analysis.label_order import CERTAINTY
from training.analysis.requests import request_analysis
from training.api.requests import AnalysisRequest
from training.api.serializers import AnalysisAnswer, ModelAnswer
from training.artifacts.download import zip_response
from training.jobs import removal
from training.models import Analysis, TrainedModel
from training.queries.evaluation_report import report_of
from training.queries.lookups import find_model, find_model_to_change
from web.api import BadParameter, cursor_page
from web.idempotency.api import APIView
from web.reference.hints import or_nothing, schema_of
from web.streams.detached import DetachedResponse
from web.validation.details import DetailsChange

MODEL = {"type": "object", "properties": dict.fromkeys(("id", "name", "task"), {"type": "string"})}
MODEL_COMPARISON = {
    "allOf": [
        schema_of("engine.analysis.model_comparison:Comparison"),
        {"type": "object", "properties": {"first": MODEL, "second": MODEL}},
    ]
}


class ModelsEndpoint(APIView):
    @extend_schema(operation_id="list_models", responses=ModelAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The team's models, newest first; `?project=` narrows them."""
        models = TrainedModel.objects.visible_to(viewer_of(request)).filter(archived_at=None)
        if project := request.query_params.get("project"):
            models = models.filter(project_id=project)
        rows = models.select_related("dataset_version", "job")
        return cursor_page(request, rows, ModelAnswer().to_representation)


class ModelEndpoint(APIView):
    @extend_schema(operation_id="get_model", responses=ModelAnswer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """One model and its headline metrics."""
        return Response(ModelAnswer(find_model(viewer_of(request), model_id)).data)

    @extend_schema(operation_id="change_model", request=DetailsChange, responses=ModelAnswer)
    def patch(self, request: Request, model_id: UUID) -> Response:
        """Give the model another name, tags or notes; endpoints keep their own names."""
        viewer = viewer_of(request)
        model = find_model_to_change(viewer, model_id)
        body = DetailsChange(data=request.data)
        body.is_valid(raise_exception=True)
        removal.change_details(model, body.details_of(model), viewer)
        return Response(ModelAnswer(find_model(viewer, model_id)).data)

    @extend_schema(operation_id="archive_model", responses=ModelAnswer)
    def delete(self, request: Request, model_id: UUID) -> Response:
        """Move the model to the trash for 30 days. 409 names the endpoints, fine-tunes and
        assistants that still use it."""
        viewer = viewer_of(request)
        removal.archive(find_model_to_change(viewer, model_id), viewer)
        return Response(ModelAnswer(find_model(viewer, model_id)).data)


class RestoreEndpoint(APIView):
    @extend_schema(operation_id="restore_model", request=None, responses=ModelAnswer)
    def post(self, request: Request, model_id: UUID) -> Response:
        """Bring the model back from the trash. 410 after 30 days."""
        viewer = viewer_of(request)
        removal.restore(find_model_to_change(viewer, model_id), viewer)
        return Response(ModelAnswer(find_model(viewer, model_id)).data)


class EvaluationEndpoint(APIView):
    @extend_schema(
        operation_id="get_model_evaluation",
        responses={200: or_nothing("engine.evaluation.schema:Report", "it was tested")},
    )
    def get(self, request: Request, model_id: UUID) -> Response:
        """The whole report on the untouched test rows; every number names its method."""
        return Response(report_of(find_model(viewer_of(request), model_id)))


class CompareEndpoint(APIView):
    @extend_schema(
        operation_id="compare_models",
        parameters=[
            OpenApiParameter("a", OpenApiTypes.UUID),
            OpenApiParameter("b", OpenApiTypes.UUID),
        ],
        responses={200: MODEL_COMPARISON},
    )
    def get(self, request: Request) -> Response:
        """Two models on the same test rows: `a` less `b`, with significance tests and the rows
        where they disagree. 409 in words when they were not tested on the same rows."""
        first, second = (_find_model_param(request, name) for name in ("a", "b"))
        return Response(compare_models(first, second))


def _find_model_param(request: Request, parameter: str) -> TrainedModel:
    try:
        return find_model(viewer_of(request), UUID(request.query_params.get(parameter, "")))
    except ValueError:
        raise BadParameter(f"{parameter} must be the id of a model.", param=parameter) from None


class AnalysesEndpoint(APIView):
    @extend_schema(operation_id="list_analyses", responses=AnalysisAnswer(many=True))
    def get(self, request: Request, model_id: UUID) -> Response:
        """Questions asked about the model and their answers; `finished_at` is null until then."""
        model = find_model(viewer_of(request), model_id)
        analyses = Analysis.objects.filter(model=model).exclude(kind=CERTAINTY)
        return cursor_page(request, analyses, AnalysisAnswer().to_representation)

    @extend_schema(
        operation_id="ask_about_model", request=AnalysisRequest, responses={202: AnalysisAnswer}
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Ask a worker: fairness over a column, or the reasons of one answer."""
        viewer = viewer_of(request)
        model = find_model(viewer, model_id)
        body = AnalysisRequest(data=request.data)
        body.is_valid(raise_exception=True)
        require_permission(viewer, model.team, "write")
        question = dict(body.validated_data)
        analysis = request_analysis(model, viewer, question.pop("kind"), question)
        return Response(AnalysisAnswer(analysis).data, status=202)


class DownloadEndpoint(APIView):
    @extend_schema(
        operation_id="download_model",
        responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, model_id: UUID) -> DetachedResponse:
        """The artifact as a zip file: weights, ONNX, tokenizer, labels, report, manifest."""
        return zip_response(find_model(viewer_of(request), model_id))
