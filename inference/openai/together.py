"""/v1/fine-tunes: the same fine-tunes in the shapes that Together's clients know."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from inference.errors import FineTuningRefused
from inference.fine_tuning import history, jobs
from inference.fine_tuning.names import fine_tuned_model_name
from inference.fine_tuning.together import FineTuneBody
from inference.models import FineTuningJob
from inference.openai.files import FILE, find_file
from inference.openai.fine_tuning import JOB, find_fine_tune, status_of, visible_jobs
from inference.openai.wire import JsonObject, OpenAiView, parse_body, wire_id
from training.queries.metric_series import curves_of

STATUSES = {
    "validating_files": "pending",
    "succeeded": "completed",
    "failed": "error",
    "paused": "pending",
}
METRICS = {"train_loss": "train/loss", "validation_loss": "eval/loss"}
MAX_EVENTS = 1000


def fine_tune_object(job: FineTuningJob) -> JsonObject:
    training, status = job.job, status_of(job)
    finished_at = training.finished_at if training else job.failed_at or job.cancelled_at
    chosen = (job.method.get(job.method["type"]) or {}).get("hyperparameters") or {}
    epochs = chosen.get("n_epochs")
    return {
        "id": wire_id(JOB, job.pk),
        "object": "fine-tune",
        "status": STATUSES.get(status, status),
        "model": job.model,
        "model_output_name": fine_tuned_model_name(job),
        "training_file": wire_id(FILE, job.training_file_id),
        "validation_file": wire_id(FILE, job.validation_file_id) if job.validation_file_id else "",
        "suffix": job.suffix,
        "n_epochs": epochs if isinstance(epochs, int) else (training.epochs if training else 0),
        "epochs_completed": int(training.epoch) if training else 0,
        "created_at": job.created_at.isoformat(),
        "updated_at": (finished_at or job.created_at).isoformat(),
        "learning_rate": (job.method.get("engine") or {}).get("learning_rate"),
        "training_method": {"method": "dpo" if job.method["type"] == "dpo" else "sft"},
        "events": [],
    }


def _start_of(request: Request, asked: FineTuneBody) -> str:
    """The name of what training starts from: a base model, or a finished job's model.

    Raises FineTuningRefused for none or both, and for a step in between.
    """
    if bool(asked.model) == bool(asked.from_checkpoint):
        raise FineTuningRefused("Send either model or from_checkpoint.", param="model")
    if asked.model:
        return asked.model
    name, _, step = (asked.from_checkpoint or "").rpartition(":")
    if step.isdecimal() and len(step) < 12:  # The last part of a model's name has 12 digits.
        raise FineTuningRefused(
            f"Training goes on from finished models, not from checkpoints. Send {name!r}.",
            param="from_checkpoint",
        )
    if not str(asked.from_checkpoint).startswith(JOB):
        return str(asked.from_checkpoint)
    return fine_tuned_model_name(find_fine_tune(request, str(asked.from_checkpoint)))


class FineTunesView(OpenAiView):
    def get(self, request: Request) -> Response:
        rows = visible_jobs(request).order_by("-created_at")[:MAX_EVENTS]
        return Response({"data": [fine_tune_object(job) for job in rows]})

    def post(self, request: Request) -> Response:
        asked = parse_body(FineTuneBody, request.data)
        body = asked.as_job_body(_start_of(request, asked))
        training = find_file(request, body.training_file, "training_file")
        validation = None
        if body.validation_file is not None:
            validation = find_file(request, body.validation_file, "validation_file")
        return Response(
            fine_tune_object(jobs.create(body, token_of(request), training, validation))
        )


class FineTuneView(OpenAiView):
    def get(self, request: Request, job_id: str) -> Response:
        return Response(fine_tune_object(find_fine_tune(request, job_id)))


class FineTuneCancelView(OpenAiView):
    def post(self, request: Request, job_id: str) -> Response:
        jobs.cancel(find_fine_tune(request, job_id), token_of(request))
        return Response(fine_tune_object(find_fine_tune(request, job_id)))


class FineTuneEventsView(OpenAiView):
    def get(self, request: Request, job_id: str) -> Response:
        job = find_fine_tune(request, job_id)
        events, _ = history.list_events(job, after=None, limit=MAX_EVENTS) or ([], False)
        data = [
            {
                "object": "fine-tune-event",
                "created_at": event.at.isoformat(),
                "level": event.level,
                "message": event.message,
                "type": "job_event",
                "hash": event.id,
            }
            for event in reversed(events)
        ]
        return Response({"data": data})


class FineTuneMetricsView(OpenAiView):
    def get(self, request: Request, job_id: str) -> Response:
        """One flat object for each step, in order."""
        job = find_fine_tune(request, job_id)
        steps: dict[int, JsonObject] = {}
        for name, curve in curves_of(job.job, METRICS).items() if job.job else ():
            for step, value in curve.points:
                steps.setdefault(step, {"train/global_step": step})[METRICS[name]] = value
        return Response({"metrics": [steps[step] for step in sorted(steps)]})
