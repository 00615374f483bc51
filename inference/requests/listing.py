"""The logged requests of an endpoint, narrowed, with the feedback on each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import JSONObject

from inference.models import Deployment, Feedback, RequestLog
from training.models import TrainedModel

STATUSES = {  # As a caller sees them: by its HTTP status.
    "answered": Q(status__lt=400),
    "refused": Q(status__gte=400, status__lt=500),
    "failed": Q(status__gte=500),
}
FEEDBACK = {
    "right": Q(score=1),
    "wrong": Q(score=-1),
    "corrected": ~Q(correction=""),
}
NO_FEEDBACK = "none"
_LOG = RequestLog._meta.db_table
_CONTAINS_SQL = f"""(
    EXISTS (SELECT 1
        FROM jsonb_array_elements_text({_LOG}.inputs) AS part
        WHERE strpos(lower(part), lower(%s)) > 0
    ) OR strpos(lower({_LOG}.asked #>> '{{}}'), lower(%s)) > 0
)"""


@dataclass(frozen=True)
class RequestFilter:
    """What narrows the list; empty values narrow nothing."""

    status: str = ""  # One of STATUSES.
    answer: str = ""
    model: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    token: str = ""  # The start of the token's visible part.
    text: str = ""  # Part of what was asked.
    feedback: str = ""  # One of FEEDBACK, or NO_FEEDBACK.


def list_requests(deployment: Deployment, narrowed: RequestFilter) -> QuerySet[RequestLog]:
    """The requests that match, without order. `given` is the feedback on each as an object."""
    rows: QuerySet[RequestLog] = RequestLog.objects.filter(deployment=deployment)
    if narrowed.status:
        rows = rows.filter(STATUSES[narrowed.status])
    if narrowed.answer:
        rows = rows.filter(answers__contains=[narrowed.answer])
    if narrowed.model:
        rows = rows.filter(model_key=narrowed.model)
    if narrowed.since:
        rows = rows.filter(at__gte=narrowed.since)
    if narrowed.until:
        rows = rows.filter(at__lte=narrowed.until)
    if narrowed.token:
        rows = rows.filter(token_prefix__startswith=narrowed.token)
    if narrowed.text:
        rows = rows.alias(has_text=RawSQL(_CONTAINS_SQL, [narrowed.text] * 2)).filter(has_text=True)
    if narrowed.feedback:
        rows = _by_feedback(rows, deployment, narrowed.feedback)
    given = Feedback.objects.filter(team_id=deployment.team_id, request_id=OuterRef("request_id"))
    facts = JSONObject(score="score", correction="correction", person="person__email")
    return rows.annotate(given=Subquery(given.values(facts=facts)))


def _by_feedback(
    rows: QuerySet[RequestLog], deployment: Deployment, feedback: str
) -> QuerySet[RequestLog]:
    given = Feedback.objects.filter(team_id=deployment.team_id)
    if feedback == NO_FEEDBACK:
        return rows.exclude(request_id__in=given.values("request_id"))
    return rows.filter(request_id__in=given.filter(FEEDBACK[feedback]).values("request_id"))


def feedback_on(entry: RequestLog) -> dict[str, Any] | None:
    """Of an entry of `list_requests`: its score, its correction and who judged it; or None."""
    given: dict[str, Any] | None = entry.given  # type: ignore[attr-defined]
    return given


def answering_models(deployment: Deployment) -> list[TrainedModel]:
    """The models that answered requests of the log, by name."""
    keys = RequestLog.objects.filter(deployment=deployment).exclude(model_key=None)
    distinct = keys.order_by().values("model_key").distinct()
    return list(TrainedModel.objects.filter(pk__in=distinct).order_by("name"))
