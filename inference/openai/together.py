"""/v1/fine-tunes: the same fine-tunes in the shapes that Together's clients know."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from inference.errors import FineTuningRefused
from inference.fine_tuning import history, jobs
from inference.fine_tuning.names import fine_tuned_model_name
from inference.fine_tuning.requests import (
    DpoHyperparameters,
    DpoOptions,
    FileName,
    Hyperparameters,
    JobBody,
    Method,
    ModelName,
)
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


class TrainingMethod(BaseModel):
    """Together's: sft learns answers, dpo preferences between two."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["sft", "dpo"]
    train_on_inputs: Literal["auto"] | bool | None = None
    dpo_beta: Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] | None = None


class FineTuneBody(BaseModel):
    """POST /v1/fine-tunes, as far as it is served here; other fields are refused by name."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName
    training_file: FileName
    validation_file: Annotated[str, Field(max_length=200)] | None = None
    n_epochs: Annotated[int, Field(ge=1, le=50)] | None = None
    batch_size: Literal["max"] | Annotated[int, Field(ge=1, le=256)] | None = None
    suffix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    random_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    train_on_inputs: Literal["auto"] | bool | None = None
    n_checkpoints: int | None = None
    n_evals: int | None = None
    training_method: TrainingMethod | None = None

    def as_job_body(self) -> JobBody:
        """Raises FineTuningRefused for training on inputs, which is not done here."""
        chosen_method = self.training_method or TrainingMethod(method="sft")
        if self.train_on_inputs is True or chosen_method.train_on_inputs is True:
            raise FineTuningRefused(
                "train_on_inputs: only answers are learnt from here. Leave it out or send false.",
                param="train_on_inputs",
            )
        chosen = Hyperparameters(
            n_epochs=self.n_epochs or "auto",
            batch_size=self.batch_size if isinstance(self.batch_size, int) else "auto",
        )
        method = None
        if chosen_method.method == "dpo":
            dpo = DpoHyperparameters(**chosen.model_dump(), beta=chosen_method.dpo_beta or "auto")
            method = Method(type="dpo", dpo=DpoOptions(hyperparameters=dpo))
        return JobBody(
            method=method,
            model=self.model,
            training_file=self.training_file,
            validation_file=self.validation_file or None,
            suffix=self.suffix,
            seed=self.seed if self.seed is not None else self.random_seed,
            hyperparameters=chosen,
        )


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
        "training_method": {"method": "dpo" if job.method["type"] == "dpo" else "sft"},
        "events": [],
    }


class FineTunesView(OpenAiView):
    def get(self, request: Request) -> Response:
        rows = visible_jobs(request).order_by("-created_at")[:MAX_EVENTS]
        return Response({"data": [fine_tune_object(job) for job in rows]})

    def post(self, request: Request) -> Response:
        body = parse_body(FineTuneBody, request.data).as_job_body()
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
