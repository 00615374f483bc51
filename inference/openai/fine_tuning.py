"""/v1/fine_tuning/jobs: the fine-tunes that pages show, in OpenAI's shapes."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from inference.fine_tuning import history, jobs
from inference.fine_tuning.names import checkpoint_name, fine_tuned_model_name
from inference.fine_tuning.requests import GENERATION_TASK, JobBody
from inference.fine_tuning.results import ensure_results_file
from inference.models import FineTuningJob
from inference.openai.files import FILE, find_file
from inference.openai.wire import (
    JsonObject,
    OpenAiView,
    find_object,
    list_object,
    list_page,
    parse_body,
    parse_limit,
    unix_time,
    wire_id,
)
from training.models import Checkpoint, Status
from web.api import BadParameter
from web.validation.values import parse_digits

JOB, CHECKPOINT = "ftjob-", "ftckpt_"
CHECKPOINT_METRICS = {
    "train_loss": "train_loss",
    "validation_loss": "valid_loss",
    "validation_token_accuracy": "valid_mean_token_accuracy",
}


def visible_jobs(request: Request) -> QuerySet[FineTuningJob]:
    """The team's fine-tunes, those launched elsewhere included."""
    jobs.adopt_jobs(token_of(request).team)
    return FineTuningJob.objects.visible_to(request.auth).select_related(
        "team", "job__model", "job__team", "training_file", "validation_file", "results_file"
    )


def find_fine_tune(request: Request, job_id: str) -> FineTuningJob:
    return find_object(visible_jobs(request), JOB, job_id, "FineTuningJob", "fine_tuning_job_id")


def status_of(job: FineTuningJob) -> str:
    if job.job is not None:
        return job.job.status
    if job.failed_at is not None:
        return "failed"
    return "cancelled" if job.cancelled_at is not None else "validating_files"


def job_object(job: FineTuningJob) -> JsonObject:
    """A fine-tune on the wire."""
    training, status = job.job, status_of(job)
    options = job.method.get(job.method["type"]) or {}
    hyperparameters = dict(options.get("hyperparameters") or {})
    hyperparameters.pop("beta", None)  # Of the method alone.
    if training is not None and training.epochs and hyperparameters.get("n_epochs") == "auto":
        hyperparameters["n_epochs"] = training.epochs
    has_succeeded = status == Status.SUCCEEDED
    results = ensure_results_file(job)
    ended_at = job.failed_at or job.cancelled_at
    return {
        "id": wire_id(JOB, job.pk),
        "object": "fine_tuning.job",
        "created_at": unix_time(job.created_at),
        "finished_at": unix_time(training.finished_at if training else ended_at),
        "model": job.model,
        "fine_tuned_model": fine_tuned_model_name(job) if has_succeeded else None,
        "organization_id": f"org-{job.team.slug}",
        "status": status,
        "hyperparameters": hyperparameters,
        "training_file": wire_id(FILE, job.training_file_id),
        "validation_file": wire_id(FILE, job.validation_file_id)
        if job.validation_file_id
        else None,
        "result_files": [wire_id(FILE, results.pk)] if results else [],
        "trained_tokens": _trained_tokens(job),
        "error": _error_object(job),
        "seed": job.seed,
        "estimated_finish": (
            None
            if job.job is None or job.job.eta_seconds is None
            else unix_time(now() + timedelta(seconds=job.job.eta_seconds))
        ),
        "integrations": [],
        "method": {name: value for name, value in job.method.items() if name != "engine"},
        "metadata": job.metadata,
        "user_provided_suffix": job.suffix or None,
    }


def _trained_tokens(job: FineTuningJob) -> int | None:
    """What the training counted; null where it counts none, and before the end."""
    if job.job is None or job.job.model is None:
        return None
    tokens = (job.job.model.manifest.get("training") or {}).get("tokens")
    return int(tokens) if isinstance(tokens, int | float) else None


def _error_object(job: FineTuningJob) -> JsonObject | None:
    if job.failed_at is not None:
        param = "training_file" if job.error_code == "invalid_training_file" else None
        return {"code": job.error_code, "message": job.error_message, "param": param}
    if job.job is not None and job.job.failure_code:
        message = job.job.failure_sentence
        return {"code": job.job.failure_code, "message": message, "param": None}
    return None


class JobsView(OpenAiView):
    def get(self, request: Request) -> Response:
        """`metadata[key]=value` narrows the list; metadata=null asks for jobs without any."""
        rows = visible_jobs(request)
        for name, value in request.query_params.items():
            if name.startswith("metadata[") and name.endswith("]"):
                rows = rows.filter(metadata__contains={name[9:-1]: value})
        if request.query_params.get("metadata") == "null":
            rows = rows.filter(metadata=None)
        return Response(list_page(request, rows, JOB, job_object))

    def post(self, request: Request) -> Response:
        body = parse_body(JobBody, request.data)
        body.require_supported()
        training = find_file(request, body.training_file, "training_file")
        validation = None
        if body.validation_file is not None:
            validation = find_file(request, body.validation_file, "validation_file")
        job = jobs.create(body, token_of(request), training, validation)
        return Response(job_object(job))


class JobView(OpenAiView):
    def get(self, request: Request, job_id: str) -> Response:
        return Response(job_object(find_fine_tune(request, job_id)))


class JobActionView(OpenAiView):
    ACTIONS = {"cancel": jobs.cancel, "pause": jobs.pause, "resume": jobs.resume}

    def post(self, request: Request, job_id: str, action: str) -> Response:
        self.ACTIONS[action](find_fine_tune(request, job_id), token_of(request))
        return Response(job_object(find_fine_tune(request, job_id)))


class JobEventsView(OpenAiView):
    def get(self, request: Request, job_id: str) -> Response:
        page = history.list_events(
            find_fine_tune(request, job_id),
            after=request.query_params.get("after"),
            limit=parse_limit(request, 20, 100),
        )
        if page is None:
            raise BadParameter("after names no event of this job.", param="after")
        events, has_more = page
        data: list[JsonObject] = [
            {
                "id": event.id,
                "object": "fine_tuning.job.event",
                "created_at": unix_time(event.at),
                "level": event.level,
                "message": event.message,
                "type": event.type,
                "data": event.data,
            }
            for event in events
        ]
        return Response(list_object(data, has_more=has_more))


class JobCheckpointsView(OpenAiView):
    def get(self, request: Request, job_id: str) -> Response:
        """Saved states that answer under names of their own, newest first."""
        job, limit = find_fine_tune(request, job_id), parse_limit(request, 10, 100)
        rows = Checkpoint.objects.none()
        if job.job and job.job.task == GENERATION_TASK:
            rows = Checkpoint.objects.kept().filter(job=job.job)
        rows = rows.order_by("-step", "-pk")
        if (after := request.query_params.get("after")) is not None:
            number = parse_digits(after.removeprefix(CHECKPOINT), 18)
            last = None if number is None else rows.filter(pk=number).first()
            if last is None:
                raise BadParameter("after names no checkpoint of this job.", param="after")
            rows = rows.filter(step__lte=last.step).exclude(step=last.step, pk__gte=last.pk)
        checkpoints = list(rows[: limit + 1])
        data = [_checkpoint_object(job, checkpoint) for checkpoint in checkpoints[:limit]]
        return Response(list_object(data, has_more=len(checkpoints) > limit))


def _checkpoint_object(job: FineTuningJob, checkpoint: Checkpoint) -> JsonObject:
    metrics: dict[str, object] = {"step": checkpoint.step}
    for name, theirs in CHECKPOINT_METRICS.items():
        if isinstance(value := checkpoint.metrics.get(name), int | float):
            metrics[theirs] = value
    return {
        "id": f"{CHECKPOINT}{checkpoint.pk}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": unix_time(checkpoint.created_at),
        "fine_tuning_job_id": wire_id(JOB, job.pk),
        "fine_tuned_model_checkpoint": checkpoint_name(job, checkpoint.step),
        "step_number": checkpoint.step,
        "metrics": metrics,
    }
