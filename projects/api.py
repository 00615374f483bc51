"""Projects and datasets over the API. Translates; the verbs live in opening and uploading."""

from typing import Any
from uuid import UUID

from django.http import FileResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import require
from accounts.models import ApiToken
from projects.models import Dataset, DatasetVersion, Project
from projects.opening import open_project
from projects.uploading import receive
from projects.views_datasets import rejects_file
from web.api import listing


class PrintableField(serializers.CharField):
    """Text that a database can hold and a page can show: no control characters."""

    def to_internal_value(self, data: Any) -> str:
        text = "".join(letter for letter in super().to_internal_value(data) if letter.isprintable())
        return text.encode("utf-8", "replace").decode()


class ProjectRequest(serializers.Serializer[Any]):
    name = PrintableField(max_length=120)


class ProjectAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.ReadOnlyField(default="project")
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


class DatasetRequest(serializers.Serializer[Any]):
    """`dataset`, when given, makes the file that dataset's next version."""

    file = serializers.FileField(allow_empty_file=True, max_length=1000)
    project = serializers.UUIDField()
    name = PrintableField(max_length=255, required=False, default="", allow_blank=True)
    dataset = serializers.UUIDField(required=False)


class FailureAnswer(serializers.Serializer[Any]):
    code = serializers.CharField(source="failure_code")
    sentence = serializers.CharField(source="failure_sentence")


class DatasetAnswer(serializers.Serializer[Any]):
    """A dataset as its newest version. `profile` says what is in it and what it could teach."""

    id = serializers.UUIDField(source="dataset_id")
    object = serializers.ReadOnlyField(default="dataset")
    name = serializers.CharField(source="dataset.name")
    project = serializers.UUIDField(source="dataset.project_id")
    version = serializers.IntegerField(source="number")
    version_id = serializers.UUIDField(source="pk")
    status = serializers.CharField()
    filename = serializers.CharField()
    bytes = serializers.IntegerField(source="upload_bytes")
    sha256 = serializers.CharField(source="upload_sha256")
    rows = serializers.IntegerField(allow_null=True)
    rejected_rows = serializers.IntegerField(allow_null=True)
    columns = serializers.JSONField()
    dialect = serializers.JSONField()
    issues = serializers.JSONField()
    profile = serializers.JSONField()
    failure = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(source="dataset.created_at")
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema(responses=FailureAnswer)
    def get_failure(self, version: DatasetVersion) -> dict[str, str] | None:
        return dict(FailureAnswer(version).data) if version.failure_code else None


class ProjectsEndpoint(APIView):
    """The token's team's projects."""

    @extend_schema(operation_id="projects_list", responses=ProjectAnswer(many=True))
    def get(self, request: Request) -> Response:
        projects = Project.objects.visible_to(request.auth).active()
        return listing(request, projects, ProjectAnswer().to_representation)

    @extend_schema(
        operation_id="projects_create", request=ProjectRequest, responses={201: ProjectAnswer}
    )
    def post(self, request: Request) -> Response:
        wanted = ProjectRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        token = _token(request)
        require(token, token.team, "write")
        project = open_project(token.team, wanted.validated_data["name"], token)
        return Response(ProjectAnswer(project).data, status=201)


class DatasetsEndpoint(APIView):
    """Datasets, each as its newest version; a POST uploads a file."""

    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="datasets_list", responses=DatasetAnswer(many=True))
    def get(self, request: Request) -> Response:
        datasets = Dataset.objects.visible_to(request.auth).filter(
            archived_at=None, versions__number=1
        )
        return listing(request, datasets, lambda dataset: DatasetAnswer(dataset.latest).data)

    @extend_schema(
        operation_id="datasets_create", request=DatasetRequest, responses={202: DatasetAnswer}
    )
    def post(self, request: Request) -> Response:
        wanted = DatasetRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        token, facts = _token(request), wanted.validated_data
        project = get_object_or_404(Project.objects.visible_to(token), pk=facts["project"])
        require(token, project.team, "write")
        came = receive(
            project=project,
            filename=facts["file"].name,
            chunks=facts["file"].chunks(),
            by=token,
            name=facts["name"],
            dataset=_dataset_of(project, facts.get("dataset")),
        )
        return Response(DatasetAnswer(came.version).data, status=202)


class DatasetEndpoint(APIView):
    """One dataset: how its import went, what is in it."""

    @extend_schema(operation_id="datasets_retrieve", responses=DatasetAnswer)
    def get(self, request: Request, dataset_id: UUID) -> Response:
        return Response(DatasetAnswer(_newest(request, dataset_id)).data)


class RejectsEndpoint(APIView):
    """The rows that were refused, with line number, column and reason, as CSV."""

    @extend_schema(operation_id="datasets_rejects", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, dataset_id: UUID) -> FileResponse:
        return rejects_file(_newest(request, dataset_id))


def _newest(request: Request, dataset_id: UUID) -> DatasetVersion:
    visible = DatasetVersion.objects.visible_to(request.auth).select_related("dataset__project")
    newest = visible.filter(dataset=dataset_id).order_by("-number").first()
    return newest or get_object_or_404(visible.none())


def _dataset_of(project: Project, dataset_id: UUID | None) -> Dataset | None:
    return get_object_or_404(Dataset, project=project, pk=dataset_id) if dataset_id else None


def _token(request: Request) -> ApiToken:
    assert isinstance(request.auth, ApiToken)
    return request.auth
