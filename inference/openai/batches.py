"""/v1/batches: files of requests that are answered in the background."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import TokenScope
from accounts.permissions import token_of
from inference.batches import lifecycle
from inference.batches.lines import ENDPOINTS
from inference.batches.work import count_answers
from inference.models import Batch
from inference.openai.files import FILE, find_file
from inference.openai.wire import (
    JsonObject,
    OpenAiView,
    find_object,
    list_page,
    parse_body,
    unix_time,
    wire_id,
)
from web.api import BadParameter

BATCH = "batch_"
MAX_METADATA_PAIRS = 16
MOMENTS = (
    "created_at",
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


class BatchBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
            Field(max_length=MAX_METADATA_PAIRS),
        ]
        | None
    ) = None


def batch_object(batch: Batch) -> JsonObject:
    completed, failed = count_answers(batch)
    problems = {"object": "list", "data": batch.problems}
    return {
        "id": wire_id(BATCH, batch.pk),
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": problems if batch.problems else None,
        "input_file_id": wire_id(FILE, batch.input_file_id),
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": wire_id(FILE, batch.output_file_id) if batch.output_file_id else None,
        "error_file_id": wire_id(FILE, batch.error_file_id) if batch.error_file_id else None,
        **{name: unix_time(getattr(batch, name)) for name in MOMENTS},
        "request_counts": {"total": batch.total, "completed": completed, "failed": failed},
        "metadata": batch.metadata,
    }


def _find_batch(request: Request, batch_id: str) -> Batch:
    return find_object(Batch.objects.visible_to(request.auth), BATCH, batch_id, "Batch", "batch_id")


class BatchesView(OpenAiView):
    """Asking models needs the scope `inference`, as it does without a batch."""

    required_scope = TokenScope.INFERENCE

    def get(self, request: Request) -> Response:
        rows = Batch.objects.visible_to(request.auth)
        return Response(list_page(request, rows, BATCH, batch_object))

    def post(self, request: Request) -> Response:
        body = parse_body(BatchBody, request.data)
        if body.endpoint not in ENDPOINTS:
            raise BadParameter(f"endpoint must be one of {', '.join(ENDPOINTS)}.", param="endpoint")
        batch = lifecycle.begin(
            token_of(request),
            find_file(request, body.input_file_id, "input_file_id"),
            endpoint=body.endpoint,
            window=body.completion_window,
            metadata=body.metadata,
        )
        return Response(batch_object(batch))


class BatchView(OpenAiView):
    required_scope = TokenScope.INFERENCE

    def get(self, request: Request, batch_id: str) -> Response:
        return Response(batch_object(_find_batch(request, batch_id)))


class BatchCancelView(OpenAiView):
    required_scope = TokenScope.INFERENCE

    def post(self, request: Request, batch_id: str) -> Response:
        batch = lifecycle.cancel(_find_batch(request, batch_id), token_of(request))
        return Response(batch_object(batch))
