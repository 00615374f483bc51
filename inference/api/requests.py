"""The API of logged requests: listed, made a dataset, and how many are kept."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import viewer_of
from inference.deployments import find_deployment, find_deployment_to_change
from inference.errors import UnknownRequests
from inference.models import Deployment, RequestLog
from inference.requests.datasets import make_dataset
from inference.requests.listing import (
    FEEDBACK,
    NO_FEEDBACK,
    STATUSES,
    RequestFilter,
    feedback_on,
    list_requests,
)
from inference.requests.retention import (
    MAX_DAYS,
    MAX_ONE_IN,
    MAX_ROWS_PER_DEPLOYMENT,
    set_retention,
)
from web.api import cursor_page
from web.idempotency.api import APIView
from web.validation.fields import ChoiceField, IntegerField


class RequestFilterBody(serializers.Serializer[Any]):
    """What narrows a list of requests."""

    status = ChoiceField(
        choices=list(STATUSES),
        required=False,
        help_text="answered below 400, refused below 500, failed from there on.",
    )
    answer = serializers.CharField(
        max_length=500, required=False, trim_whitespace=False, help_text="An answer to a row."
    )
    model = serializers.UUIDField(required=False, help_text="The trained model that answered.")
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False, help_text="Up to this moment.")
    token = serializers.CharField(
        max_length=16, required=False, help_text="The start of the API token's prefix."
    )
    text = serializers.CharField(
        max_length=500, required=False, trim_whitespace=False, help_text="Part of what was asked."
    )
    feedback = ChoiceField(choices=[*FEEDBACK, NO_FEEDBACK], required=False)

    @property
    def narrowed(self) -> RequestFilter:
        names = RequestFilter.__dataclass_fields__
        return RequestFilter(
            **{name: value for name, value in self.validated_data.items() if name in names}
        )


class DatasetOfRequestsBody(RequestFilterBody):
    requests = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        min_length=1,
        max_length=MAX_ROWS_PER_DEPLOYMENT,
        help_text="Ids of requests; left out: all that the other fields describe.",
    )
    answers = ChoiceField(
        choices=["predicted", "corrected"],
        default="predicted",
        help_text=(
            "predicted: the model's answer, in a column with the suffix _predicted. corrected:"
            " beside it, as the target, what feedback says is right, empty where it says nothing."
        ),
    )
    name = serializers.CharField(max_length=255, required=False, help_text="Of the dataset.")


class RequestFeedbackAnswer(serializers.Serializer[Any]):
    score = serializers.IntegerField(allow_null=True)
    correction = serializers.CharField()
    person = serializers.CharField(
        allow_null=True, help_text="Who judged it on a page; null: a caller with an API token."
    )


class RequestAnswer(serializers.Serializer[Any]):
    id = serializers.CharField(source="request_id")
    object = serializers.CharField(default="request")
    created_at = serializers.DateTimeField(source="at")
    status = serializers.IntegerField()
    model = serializers.UUIDField(source="model_key", allow_null=True)
    token_prefix = serializers.CharField()
    rows = serializers.IntegerField()
    tokens = serializers.IntegerField()
    latency_ms = serializers.FloatField()
    inputs = serializers.ListField(
        child=serializers.CharField(), help_text="The first rows, long texts cut off."
    )
    answers = serializers.ListField(child=serializers.CharField())
    asked = serializers.JSONField(
        allow_null=True, help_text="Of a request of one row, whole; null where it is too long."
    )
    feedback = serializers.SerializerMethodField()

    @extend_schema_field(RequestFeedbackAnswer(allow_null=True))
    def get_feedback(self, entry: RequestLog) -> dict[str, Any] | None:
        return feedback_on(entry)


class DatasetOfRequestsAnswer(serializers.Serializer[Any]):
    object = serializers.CharField(default="dataset")
    id = serializers.UUIDField(source="version.dataset_id")
    version = serializers.UUIDField(source="version.pk")
    name = serializers.CharField(source="version.dataset.name")
    rows = serializers.IntegerField()
    left_out = serializers.IntegerField(
        help_text="Rows of these requests that the log does not have whole, with an answer."
    )


class RetentionBody(serializers.Serializer[Any]):
    one_in = IntegerField(
        min_value=0,
        max_value=MAX_ONE_IN,
        source="log_one_in",
        help_text="One in so many requests is kept; 0: none, and what was kept is deleted.",
    )
    days = IntegerField(
        min_value=1, max_value=MAX_DAYS, source="log_days", help_text="For so long."
    )


class RetentionAnswer(RetentionBody):
    object = serializers.CharField(default="request_log", read_only=True)


class RequestsEndpoint(APIView):
    @extend_schema(
        operation_id="list_requests",
        parameters=[RequestFilterBody],
        responses=RequestAnswer(many=True),
    )
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """Sampled requests of a deployment, newest first."""
        deployment = find_deployment(viewer_of(request), deployment_id)
        query = RequestFilterBody(data=request.query_params)
        query.is_valid(raise_exception=True)
        rows = list_requests(deployment, query.narrowed)
        return cursor_page(request, rows, RequestAnswer().to_representation, order="-at")


class DatasetOfRequestsEndpoint(APIView):
    @extend_schema(
        operation_id="make_dataset_of_requests",
        request=DatasetOfRequestsBody,
        responses={201: DatasetOfRequestsAnswer},
    )
    def post(self, request: Request, deployment_id: UUID) -> Response:
        """Make a new dataset of sampled requests, with the model's answers."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        body = DatasetOfRequestsBody(data=request.data)
        body.is_valid(raise_exception=True)
        made = make_dataset(
            deployment,
            _chosen(deployment, body),
            viewer,
            answers=body.validated_data["answers"],
            name=body.validated_data.get("name", ""),
        )
        return Response(DatasetOfRequestsAnswer(made).data, status=status.HTTP_201_CREATED)


def _chosen(deployment: Deployment, body: DatasetOfRequestsBody) -> QuerySet[RequestLog]:
    """Raises UnknownRequests for ids that the described requests do not have."""
    rows = list_requests(deployment, body.narrowed)
    ids = set(body.validated_data.get("requests", []))
    if not ids:
        return rows
    rows = rows.filter(pk__in=ids)
    if rows.count() != len(ids):
        raise UnknownRequests(param="requests")
    return rows


class RetentionEndpoint(APIView):
    @extend_schema(operation_id="read_request_log", responses=RetentionAnswer)
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """How many requests the log keeps, and for how long."""
        return Response(RetentionAnswer(find_deployment(viewer_of(request), deployment_id)).data)

    @extend_schema(operation_id="set_request_log", request=RetentionBody, responses=RetentionAnswer)
    def put(self, request: Request, deployment_id: UUID) -> Response:
        """Choose how many requests the log keeps; for a token of an owner or admin."""
        viewer = viewer_of(request)
        deployment = find_deployment_to_change(viewer, deployment_id)
        body = RetentionBody(data=request.data)
        body.is_valid(raise_exception=True)
        chosen = body.validated_data
        set_retention(deployment, chosen["log_one_in"], chosen["log_days"], viewer)
        return Response(RetentionAnswer(deployment).data)
