"""The rows of a dataset over the API: pages of them, and whole tables as files."""

import json
from typing import Any, cast
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import require_permission, token_of
from projects.api.datasets import DatasetAnswer
from projects.api.versions import VERSION_PARAMETER, find_ready_version, whole_number
from projects.importing.editing import edit_version
from projects.queries.conditions import parse_filters
from projects.queries.export import EXPORT_FORMATS, export_table
from projects.queries.rows import MAX_PAGE_SIZE, RowQuery, load_rows
from projects.reading.edits import MAX_ADDED_ROWS, MAX_ROWS_IN_AN_EDIT, OPERATIONS
from projects.reading.fixes.operations import MAX_FILTERS
from projects.reading.results import Edit
from web.api import BadParameter
from web.idempotency.api import APIView
from web.reference.hints import DescribedField, Scalar
from web.streams.detached import DetachedResponse
from web.validation.fields import ChoiceField, IntegerField

DEFAULT_LIMIT = 50


class RowAnswer(serializers.Serializer[Any]):
    """`number` counts the rows of the file from 0; `values` has the cells by column."""

    object = serializers.ReadOnlyField(default="dataset.row")
    number = serializers.IntegerField()
    values = DescribedField(dict[str, Scalar])


class RowsAnswer(serializers.Serializer[Any]):
    """`total` counts the rows of all pages that match. Where `is_total_exact` is false, more match:
    a search through a long table is not read to its end only to be counted."""

    object = serializers.ReadOnlyField(default="list")
    data = RowAnswer(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()
    total = serializers.IntegerField()
    is_total_exact = serializers.BooleanField()


class RowsEndpoint(APIView):
    """Rows, filtered, searched and sorted."""

    @extend_schema(
        operation_id="list_dataset_rows",
        responses=RowsAnswer,
        parameters=[
            VERSION_PARAMETER,
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE_SIZE}; {DEFAULT_LIMIT}."),
            OpenApiParameter("page", int, description="From 1."),
            OpenApiParameter("search", str, description="Looked for in all columns of text."),
            OpenApiParameter("sort", str, description="A column; with - before it downwards."),
            OpenApiParameter(
                "filters",
                str,
                description="JSON: [{column, operator, value}]. Operators: is, is_not, contains,"
                " less, more, missing, filled.",
            ),
        ],
    )
    def get(self, request: Request, dataset_id: UUID) -> Response:
        page = load_rows(find_ready_version(request, dataset_id), _parse_query(request))
        rows = [
            {
                "object": "dataset.row",
                "number": row.number,
                "values": dict(zip(page.columns, row.cells, strict=True)),
            }
            for row in page.rows
        ]
        return Response(
            {
                "object": "list",
                "data": rows,
                "has_more": page.has_more,
                "total": page.matching,
                "is_total_exact": page.is_counted,
            }
        )


class EditRequest(serializers.Serializer[Any]):
    """One change. set_cells and drop_rows name `rows`, from 0; merge_values turns `values` into
    `to`; drop_missing, drop_duplicates and drop_column name a column or nothing more;
    decode_entities makes HTML's, such as &amp;, the characters that they stand for; add_column
    names a new column of text, all of it missing; add_rows puts `cells`, each a row by its columns,
    behind all others. strip_tags takes HTML's tags out of a column of text. clip and drop_outside
    bring numbers between `low` and `high`, or drop their rows. merge_rare (`to`) and drop_rare are
    about values that fewer than `least` rows have; cap_values keeps at most `most` rows of a value;
    drop_values drops the rows of `values`. Rows whose `columns` are the same text:
    drop_near_duplicates keeps the first, keep_majority gives all of them the value of most in
    `column`, drop_conflicts drops those with several values there, and drop_leaked those that a
    later split, as `column` says, has, too. set_matching and drop_matching change all rows that
    `search` and `filters` match."""

    op = ChoiceField(choices=list(OPERATIONS))
    column = serializers.CharField(required=False, trim_whitespace=False)
    rows = serializers.ListField(
        child=serializers.IntegerField(min_value=0), required=False, max_length=MAX_ROWS_IN_AN_EDIT
    )
    value = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, trim_whitespace=False
    )
    values = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False), required=False, max_length=1000
    )
    to = serializers.CharField(required=False)
    cells = serializers.ListField(
        child=serializers.DictField(
            child=serializers.CharField(allow_null=True, allow_blank=True, trim_whitespace=False)
        ),
        required=False,
        max_length=MAX_ADDED_ROWS,
    )
    columns = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False), required=False, max_length=100
    )
    low = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    least = IntegerField(required=False, min_value=2)
    most = IntegerField(required=False, min_value=1)
    search = serializers.CharField(required=False, max_length=500)
    filters = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField(allow_blank=True)),
        required=False,
        max_length=MAX_FILTERS,
    )


class EditsRequest(serializers.Serializer[Any]):
    edits = EditRequest(many=True)


class EditsEndpoint(APIView):
    """Changes rows, labels and columns, as a new version."""

    @extend_schema(
        operation_id="edit_dataset",
        request=EditsRequest,
        responses={202: DatasetAnswer},
        parameters=[VERSION_PARAMETER],
    )
    def post(self, request: Request, dataset_id: UUID) -> Response:
        version, token = find_ready_version(request, dataset_id), token_of(request)
        require_permission(token, version.dataset.project.team, "write")
        payload = EditsRequest(data=request.data)
        payload.is_valid(raise_exception=True)
        edits = [cast(Edit, dict(one)) for one in payload.validated_data["edits"]]
        return Response(DatasetAnswer(edit_version(version, edits, token)).data, status=202)


class ExportEndpoint(APIView):
    """A whole version as a file."""

    @extend_schema(
        operation_id="export_dataset",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        parameters=[
            VERSION_PARAMETER,
            OpenApiParameter(
                "file_format", str, enum=list(EXPORT_FORMATS), description="csv without it."
            ),
        ],
    )
    def get(self, request: Request, dataset_id: UUID) -> DetachedResponse:
        file_format = request.query_params.get("file_format", "csv")
        if file_format not in EXPORT_FORMATS:
            known = ", ".join(EXPORT_FORMATS)
            raise BadParameter(
                f"There is no format {file_format!r}. Known: {known}.", param="file_format"
            )
        return export_table(find_ready_version(request, dataset_id), file_format)


def _parse_query(request: Request) -> RowQuery:
    sent = request.query_params
    sort = sent.get("sort", "")
    try:
        filters = parse_filters(json.loads(sent.get("filters", "[]")))
    except (ValueError, RecursionError):
        raise BadParameter("filters must be a JSON list.", param="filters") from None
    return RowQuery(
        page=int(whole_number(request, "page", 1)),
        page_size=int(whole_number(request, "limit", DEFAULT_LIMIT)),
        search=sent.get("search", "")[:1000],
        filters=filters,
        sort=sort.removeprefix("-"),
        is_descending=sort.startswith("-"),
    )
