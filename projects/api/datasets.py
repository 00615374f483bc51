"""Datasets over the API. Translates only: see lifecycle and uploads."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import require_permission, token_of
from projects.api.versions import find_dataset_to_change, find_version
from projects.importing.uploads import receive_upload
from projects.lifecycle import archive_dataset, change_details, restore_dataset
from projects.models import Dataset, DatasetVersion, Project
from projects.profiling.profile import TableProfile
from projects.reading.columns.column import ColumnInfo
from projects.reading.results import Dialect, Edit, Issue
from projects.views.datasets import rejects_response
from web.api import cursor_page
from web.idempotency.api import APIView
from web.reference.hints import DescribedField, or_nothing
from web.streams.detached import DetachedResponse
from web.validation.details import DetailsChange
from web.validation.fields import PrintableField
from web.validation.parsers import MultiPartParser


class DatasetRequest(serializers.Serializer[Any]):
    """`dataset`, when given, makes the file that dataset's next version."""

    file = serializers.FileField(allow_empty_file=True, max_length=1000)
    project = serializers.UUIDField()
    name = PrintableField(max_length=255, required=False, default="", allow_blank=True)
    dataset = serializers.UUIDField(required=False)


class DatasetChange(DetailsChange):
    name = PrintableField(max_length=255, required=False)


class ImportFailureAnswer(serializers.Serializer[Any]):
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
    columns = DescribedField(list[ColumnInfo])
    dialect = DescribedField(Dialect)
    issues = DescribedField(list[Issue])
    profile = DescribedField(or_nothing(TableProfile, "the import has ended well"))
    based_on = serializers.IntegerField(
        source="overrides.based_on",
        default=None,
        allow_null=True,
        help_text="The version that this one changes.",
    )
    edits = DescribedField(list[Edit] | None, source="overrides.edits", default=None)
    failure = serializers.SerializerMethodField()
    tags = serializers.ListField(source="dataset.tags", child=serializers.CharField())
    notes = serializers.CharField(source="dataset.notes")
    created_at = serializers.DateTimeField(source="dataset.created_at")
    finished_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(
        source="dataset.archived_at",
        allow_null=True,
        help_text="Since when the dataset is in the trash; null: it is not.",
    )

    @extend_schema(responses=ImportFailureAnswer)
    def get_failure(self, version: DatasetVersion) -> dict[str, str] | None:
        return dict(ImportFailureAnswer(version).data) if version.failure_code else None


class DatasetsEndpoint(APIView):
    """Datasets, each as its newest version; a POST uploads a file."""

    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="datasets_list", responses=DatasetAnswer(many=True))
    def get(self, request: Request) -> Response:
        datasets = Dataset.objects.visible_to(request.auth).filter(
            archived_at=None, versions__number=1
        )
        return cursor_page(request, datasets, lambda dataset: DatasetAnswer(dataset.latest).data)

    @extend_schema(
        operation_id="datasets_create", request=DatasetRequest, responses={202: DatasetAnswer}
    )
    def post(self, request: Request) -> Response:
        payload = DatasetRequest(data=request.data)
        payload.is_valid(raise_exception=True)
        token, fields = token_of(request), payload.validated_data
        project = get_object_or_404(Project.objects.visible_to(token), pk=fields["project"])
        require_permission(token, project.team, "write")
        dataset = fields.get("dataset")
        result = receive_upload(
            project=project,
            filename=fields["file"].name,
            chunks=fields["file"].chunks(),
            by=token,
            name=fields["name"],
            dataset=get_object_or_404(Dataset, project=project, pk=dataset) if dataset else None,
        )
        return Response(DatasetAnswer(result.version).data, status=202)


class DatasetEndpoint(APIView):
    """One dataset: how its import went, what is in it."""

    @extend_schema(operation_id="datasets_retrieve", responses=DatasetAnswer)
    def get(self, request: Request, dataset_id: UUID) -> Response:
        return Response(DatasetAnswer(find_version(request, dataset_id)).data)

    @extend_schema(operation_id="datasets_change", request=DatasetChange, responses=DatasetAnswer)
    def patch(self, request: Request, dataset_id: UUID) -> Response:
        """Give the dataset another name, tags or notes; models keep their own."""
        dataset = find_dataset_to_change(request, dataset_id)
        body = DatasetChange(data=request.data)
        body.is_valid(raise_exception=True)
        change_details(dataset, body.details_of(dataset), token_of(request))
        return Response(DatasetAnswer(find_version(request, dataset_id)).data)

    @extend_schema(operation_id="datasets_archive", responses=DatasetAnswer)
    def delete(self, request: Request, dataset_id: UUID) -> Response:
        """Move the dataset to the trash for 30 days; models made from it stay. 409 names the
        fine-tunes and assistants that still use it."""
        archive_dataset(find_dataset_to_change(request, dataset_id), token_of(request))
        return Response(DatasetAnswer(find_version(request, dataset_id)).data)


class RestoreEndpoint(APIView):
    @extend_schema(operation_id="datasets_restore", request=None, responses=DatasetAnswer)
    def post(self, request: Request, dataset_id: UUID) -> Response:
        """Bring the dataset back from the trash. 410 after 30 days; 409 where its project is there,
        too."""
        restore_dataset(find_dataset_to_change(request, dataset_id), token_of(request))
        return Response(DatasetAnswer(find_version(request, dataset_id)).data)


class RejectsEndpoint(APIView):
    """The rows that were refused, with line number, column and reason, as CSV."""

    @extend_schema(operation_id="datasets_rejects", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, dataset_id: UUID) -> DetachedResponse:
        return rejects_response(find_version(request, dataset_id))
