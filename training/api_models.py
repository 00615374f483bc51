"""Models on the wire: list, facts, the whole evaluation report, and the files."""

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import require, viewer_of
from training import analyses
from training.api_shapes import ModelAnswer
from training.downloads import zip_response
from training.model_comparing import compare_models
from training.models import Analysis, TrainedModel
from training.report_reading import report_of
from web.api import BadParameter, listing

MOST_CHARACTERS = 20_000


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
        return listing(request, found, ModelAnswer().to_representation)


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


class CompareEndpoint(APIView):
    @extend_schema(
        operation_id="compare_models",
        parameters=[
            OpenApiParameter("a", OpenApiTypes.UUID),
            OpenApiParameter("b", OpenApiTypes.UUID),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Two models on the same test rows: `a` less `b`, with significance tests and the rows
        where they disagree. 409 in words when they were not tested on the same rows."""
        first, second = (_named(request, name) for name in ("a", "b"))
        return Response(compare_models(first, second))


def _named(request: Request, parameter: str) -> TrainedModel:
    try:
        return find_model(request, UUID(request.query_params.get(parameter, "")))
    except ValueError:
        raise BadParameter(f"{parameter} must be the id of a model.", param=parameter) from None


class AnalysisRequest(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        choices=["groups", "explain"],
        help_text="groups: fairness by `column`. explain: what made the answer to `input`.",
    )
    column = serializers.CharField(required=False, max_length=255)
    label = serializers.CharField(  # type: ignore[assignment]
        required=False, max_length=1000
    )
    input = serializers.JSONField(required=False, help_text="A text, or a mapping of cells.")
    row = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**31,
        help_text="A row of the model's data, from 0: a picture, or a table's cells.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] == "groups" and not attrs.get("column"):
            raise BadParameter("groups needs column.", param="column")
        if attrs["kind"] == "explain" and not attrs.get("input") and "row" not in attrs:
            raise BadParameter("explain needs input, or row.", param="input")
        if not isinstance(attrs.get("input", ""), str | dict):
            raise BadParameter("input must be a text or a mapping of cells.", param="input")
        if len(str(attrs.get("input", ""))) > MOST_CHARACTERS:
            raise BadParameter(
                f"input is longer than {MOST_CHARACTERS:,} characters.", param="input"
            )
        return attrs


class AnalysisAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.CharField(default="analysis")
    kind = serializers.CharField()
    question = serializers.JSONField()
    result = serializers.JSONField()
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class AnalysesEndpoint(APIView):
    @extend_schema(operation_id="list_analyses", responses=AnalysisAnswer(many=True))
    def get(self, request: Request, model_id: UUID) -> Response:
        """Questions asked about the model and their answers; `finished_at` is null until then."""
        found = Analysis.objects.filter(model=find_model(request, model_id))
        return listing(request, found, AnalysisAnswer().to_representation)

    @extend_schema(
        operation_id="ask_about_model", request=AnalysisRequest, responses={202: AnalysisAnswer}
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Ask a worker: fairness over a column, or the reasons of one answer."""
        model, viewer = find_model(request, model_id), viewer_of(request)
        wanted = AnalysisRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        require(viewer, model.team, "write")
        question = dict(wanted.validated_data)
        made = analyses.ask(model, viewer, question.pop("kind"), question)
        return Response(AnalysisAnswer(made).data, status=202)


class DownloadEndpoint(APIView):
    @extend_schema(
        operation_id="download_model",
        responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, model_id: UUID) -> StreamingHttpResponse:
        """The artifact as a zip file: weights, ONNX, tokenizer, labels, report, manifest."""
        return zip_response(find_model(request, model_id))
