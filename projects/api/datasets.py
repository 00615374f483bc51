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
from projects.errors import DatasetNotReady, EditsWouldBeLost
from projects.importing.another_reading import choose_readings
from projects.importing.uploads import receive_upload
from projects.lifecycle import archive_dataset, change_details, restore_dataset
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from projects.views.datasets import rejects_response
from web.api import cursor_page
from web.idempotency.api import APIView
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


class ReadingsRequest(serializers.Serializer[Any]):
    """Readings by column, as named in `profile.questions`: {"price": "number:1,234.5"}.

    `discard_edits` confirms that edits are lost which another reading leaves without their rows or
    columns."""

    columns = serializers.DictField(child=serializers.CharField(max_length=60), allow_empty=False)
    discard_edits = serializers.BooleanField(required=False, default=False)


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
    based_on = serializers.IntegerField(
        source="overrides.based_on",
        default=None,
        allow_null=True,
        help_text="The version that this one changes.",
    )
    edits = serializers.JSONField(source="overrides.edits", default=None, allow_null=True)
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

    @extend_schema(responses=FailureAnswer)
    def get_failure(self, version: DatasetVersion) -> dict[str, str] | None:
        return dict(FailureAnswer(version).data) if version.failure_code else None


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


class ReadingsEndpoint(APIView):
    """Decides how columns are read where two readings are plausible (`profile.questions`)."""

    @extend_schema(
        operation_id="datasets_readings_create",
        request=ReadingsRequest,
        responses={202: DatasetAnswer},
    )
    def post(self, request: Request, dataset_id: UUID) -> Response:
        version = find_version(request, dataset_id)
        token = token_of(request)
        require_permission(token, version.dataset.project.team, "write")
        payload = ReadingsRequest(data=request.data)
        payload.is_valid(raise_exception=True)
        if version.status == ImportStatus.IMPORTING:
            raise DatasetNotReady("This version is still importing. Wait until it is done.")
        columns, discards_edits = (
            payload.validated_data[name] for name in ("columns", "discard_edits")
        )
        try:
            successor = choose_readings(version, columns, token, discards_edits=discards_edits)
        except EditsWouldBeLost as refusal:
            sentence = f"{refusal.sentence} Send discard_edits: true to go on without them."
            raise EditsWouldBeLost(sentence, param=refusal.param) from None
        return Response(DatasetAnswer(successor).data, status=202)


class RejectsEndpoint(APIView):
    """The rows that were refused, with line number, column and reason, as CSV."""

    @extend_schema(operation_id="datasets_rejects", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, dataset_id: UUID) -> DetachedResponse:
        return rejects_response(find_version(request, dataset_id))
