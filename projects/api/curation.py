"""Versions of a dataset over the API: their list, profile and comparison, and changes to them.

Everything that changes a dataset makes a new version, which is imported in the background.
"""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from projects.api.datasets import DatasetAnswer, ImportFailureAnswer
from projects.api.versions import (
    VERSION_PARAMETER,
    find_changeable_version,
    find_dataset,
    find_ready_version,
    whole_number,
)
from projects.importing.editing import apply_fix, mask_columns
from projects.models import DatasetVersion
from projects.profiling.profile import TableProfile
from projects.queries.changes import list_versions
from projects.queries.comparison import PAGE_SIZE, compare_versions, find_versions_to_compare
from web.api import BadParameter, cursor_page
from web.idempotency.api import APIView
from web.reference.hints import DescribedField
from web.validation.fields import ChoiceField, IntegerField


class DatasetVersionAnswer(serializers.Serializer[DatasetVersion]):
    """One version and where it comes from. `based_on` is the version that it changes; null where a
    file was uploaded. `change` says in words what it changed first, and `further_changes` how many
    more there are."""

    id = serializers.UUIDField()
    object = serializers.ReadOnlyField(default="dataset.version")
    dataset = serializers.UUIDField(source="dataset_id")
    version = serializers.IntegerField(source="number")
    status = serializers.CharField()
    filename = serializers.CharField()
    bytes = serializers.IntegerField(source="upload_bytes")
    sha256 = serializers.CharField(source="upload_sha256")
    rows = serializers.IntegerField(allow_null=True)
    rejected_rows = serializers.IntegerField(allow_null=True)
    based_on = serializers.IntegerField(source="overrides.based_on", default=None, allow_null=True)
    change = serializers.SerializerMethodField()
    further_changes = serializers.SerializerMethodField()
    failure = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_change(self, version: DatasetVersion) -> str:
        return self.context["lines"][version.pk].change  # type: ignore[no-any-return]

    def get_further_changes(self, version: DatasetVersion) -> int:
        return self.context["lines"][version.pk].further  # type: ignore[no-any-return]

    @extend_schema(responses=ImportFailureAnswer)
    def get_failure(self, version: DatasetVersion) -> dict[str, str] | None:
        return dict(ImportFailureAnswer(version).data) if version.failure_code else None


class CellChangeAnswer(serializers.Serializer[Any]):
    column = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class RowChangeAnswer(serializers.Serializer[Any]):
    """`number` is the row's in the newer version, of a removed row in the older one; from 0.
    `cells` are the changed ones; of a row added or removed, all."""

    object = serializers.ReadOnlyField(default="dataset.row_change")
    change = ChoiceField(choices=["changed", "added", "removed"])
    number = serializers.IntegerField()
    cells = CellChangeAnswer(many=True)


class ChangeCountsAnswer(serializers.Serializer[Any]):
    changed = serializers.IntegerField()
    added = serializers.IntegerField()
    removed = serializers.IntegerField()


class ComparisonAnswer(serializers.Serializer[Any]):
    """`matched_by` says by what rows were matched: "row" (their number), "content", or the column
    that was sent as `key`. `counts` are of all pages."""

    object = serializers.ReadOnlyField(default="list")
    older_version = serializers.IntegerField()
    newer_version = serializers.IntegerField()
    matched_by = serializers.CharField()
    columns_added = serializers.ListField(child=serializers.CharField())
    columns_removed = serializers.ListField(child=serializers.CharField())
    counts = ChangeCountsAnswer()
    data = RowChangeAnswer(many=True, source="rows")  # type: ignore[assignment]
    has_more = serializers.BooleanField()


class VersionProfileAnswer(serializers.Serializer[DatasetVersion]):
    object = serializers.ReadOnlyField(default="dataset.profile")
    dataset = serializers.UUIDField(source="dataset_id")
    version = serializers.IntegerField(source="number")
    profile = DescribedField(TableProfile)


class MaskRequest(serializers.Serializer[Any]):
    columns = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False),
        allow_empty=False,
        max_length=1000,
        help_text="Such as those in `profile.personal_data`.",
    )


class FixRequest(serializers.Serializer[Any]):
    finding = IntegerField(
        min_value=0, help_text="The place of the finding in `profile.warnings`, from 0."
    )
    fix = ChoiceField(
        choices=["fix", "other_fix"], default="fix", help_text="Which of its fixes, by its name."
    )


class VersionsEndpoint(APIView):
    @extend_schema(operation_id="list_dataset_versions", responses=DatasetVersionAnswer(many=True))
    def get(self, request: Request, dataset_id: UUID) -> Response:
        """All versions of a dataset, newest first, with what each was made from."""
        versions = find_dataset(request, dataset_id).versions.defer("profile", "issues")
        lines = {line.version.pk: line for line in list_versions([*versions.all()])}
        serializer = DatasetVersionAnswer(context={"lines": lines})
        return cursor_page(request, versions, serializer.to_representation, order="-number")


class ProfileEndpoint(APIView):
    @extend_schema(
        operation_id="read_dataset_profile",
        parameters=[VERSION_PARAMETER],
        responses=VersionProfileAnswer,
    )
    def get(self, request: Request, dataset_id: UUID) -> Response:
        """What one version holds: its columns, classes, personal data and findings. 409 while it
        is importing."""
        return Response(VersionProfileAnswer(find_ready_version(request, dataset_id)).data)


class ComparisonEndpoint(APIView):
    @extend_schema(
        operation_id="compare_dataset_versions",
        parameters=[
            OpenApiParameter("from", int, description="The older one; else the one before."),
            OpenApiParameter("to", int, description="The newer one; else the newest."),
            OpenApiParameter("key", str, description="A column that names rows."),
            OpenApiParameter("page", int, description=f"From 1; each has {PAGE_SIZE} rows."),
        ],
        responses=ComparisonAnswer,
    )
    def get(self, request: Request, dataset_id: UUID) -> Response:
        """What changed between two versions, row by row."""
        numbers = [str(whole_number(request, name, "")) for name in ("from", "to")]
        older, newer = find_versions_to_compare(request.auth, dataset_id, *numbers)
        comparison = compare_versions(
            older,
            newer,
            key=request.query_params.get("key", ""),
            page=int(whole_number(request, "page", 1)),
        )
        answer = {
            **vars(comparison),
            "older_version": older.number,
            "newer_version": newer.number,
            "has_more": comparison.page < comparison.pages,
        }
        return Response(ComparisonAnswer(answer).data)


class MaskEndpoint(APIView):
    @extend_schema(
        operation_id="mask_dataset",
        request=MaskRequest,
        responses={202: DatasetAnswer},
        parameters=[VERSION_PARAMETER],
    )
    def post(self, request: Request, dataset_id: UUID) -> Response:
        """Replace personal data in these columns by its kind, as a new version."""
        version = find_changeable_version(request, dataset_id)
        body = MaskRequest(data=request.data)
        body.is_valid(raise_exception=True)
        names = {column["name"] for column in version.columns}
        for name in body.validated_data["columns"]:
            if name not in names:
                raise BadParameter(f"This version has no column {name!r}.", param="columns")
        masked = mask_columns(version, body.validated_data["columns"], token_of(request))
        return Response(DatasetAnswer(masked).data, status=202)


class FixEndpoint(APIView):
    @extend_schema(
        operation_id="fix_dataset",
        request=FixRequest,
        responses={202: DatasetAnswer},
        parameters=[VERSION_PARAMETER],
    )
    def post(self, request: Request, dataset_id: UUID) -> Response:
        """Apply the fix that a finding of the profile offers, as a new version."""
        version = find_changeable_version(request, dataset_id)
        body = FixRequest(data=request.data)
        body.is_valid(raise_exception=True)
        place, kind = body.validated_data["finding"], body.validated_data["fix"]
        fixed = apply_fix(version, place, token_of(request), is_other=kind == "other_fix")
        if fixed is None:
            raise BadParameter(
                f"The finding {place} of version {version.number} has no {kind}. See"
                " profile.warnings.",
                param="finding",
            )
        return Response(DatasetAnswer(fixed).data, status=202)
