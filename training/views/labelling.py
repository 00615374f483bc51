"""Which rows to label next, for the page in projects.views.labelling."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from projects.errors import DatasetNotReady
from projects.models import ImportStatus
from projects.queries.labelling import known_labels, next_rows
from projects.views.datasets import changeable_version
from projects.views.labelling import MAX_OFFERED_LABELS, read_order
from training.analysis.label_order import order_by_newest_model
from web.requests import AuthenticatedRequest


@login_required
@require_POST
def label_next(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """The next rows, as JSON, and by what they are ordered."""
    version = changeable_version(request, dataset_id)
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    sent = read_order(request)
    labels = known_labels(version, sent["column"]) | set(sent["labels"].values())
    order = order_by_newest_model(version, sent["column"], labels, request.user)
    ranked = order.ranked if order else None
    batch = next_rows(
        version, sent["column"], sent["labels"], sent["texts"], sent["skipped"], ranked
    )
    return JsonResponse(
        {
            "rows": [{"row": one.row, "text": one.text, "guess": one.guess} for one in batch.rows],
            "remaining": batch.remaining,
            "order": batch.order,
            "model": order.model.name if order else "",
            "is_asking": order is not None and ranked is None,
            "labels": order.model.labels[:MAX_OFFERED_LABELS] if order else [],
        }
    )
