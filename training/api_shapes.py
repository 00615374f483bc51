"""The shapes of jobs and models on the wire, named for their direction."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from engine.spec import SPECS, ColumnRole
from training import limits, schedule, turns
from training.costs import cost_of
from training.failures import REASONS
from training.launch import TASKS, LaunchRequest
from training.models import (
    Checkpoint,
    FailureCode,
    JobEvent,
    MetricPoint,
    PauseCode,
    Status,
    TrainedModel,
    TrainingJob,
    Trial,
    TrialState,
)
from training.search_options import SearchRequest
from web.api import BadParameter

# Every column that some task asks for, by its name in the task's spec.
ROLES = {role.field: role for spec in SPECS.values() for role in spec.roles}


def _column_field(role: ColumnRole) -> serializers.Field[Any, Any, Any, Any]:
    name = serializers.CharField(trim_whitespace=False)
    if role.many:
        return serializers.ListField(
            child=name, required=False, allow_null=True, help_text=role.help
        )
    return serializers.CharField(
        required=False, allow_null=True, trim_whitespace=False, help_text=role.help
    )


class JobRequest(serializers.Serializer[dict[str, Any]]):
    """A fine-tune to estimate or launch. All but project, dataset and task may be left out."""

    project = serializers.UUIDField()
    dataset = serializers.UUIDField(help_text="Its newest ready version is used.")
    task = serializers.CharField(help_text=f"One of: {', '.join(TASKS)}.")
    name = serializers.CharField(max_length=120, required=False, allow_null=True)
    text_column = serializers.CharField(required=False, allow_null=True, trim_whitespace=False)
    base_model = serializers.CharField(required=False, allow_null=True)
    hyperparameters = serializers.DictField(required=False, allow_null=True)
    search = SearchRequest(required=False, allow_null=True)
    compute = serializers.CharField(required=False, allow_null=True)
    priority = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text="From -10 to 10, among the team's own jobs: higher goes first.",
    )
    time_limit_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text="Of billable run time; at most the compute class's own limit.",
    )

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {name: _column_field(role) for name, role in ROLES.items()}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict):
            for name in data:
                if name not in self.fields:
                    known = ", ".join(self.fields)
                    raise BadParameter(f"Unknown field {name!r}. Known: {known}.", param=str(name))
        found: dict[str, Any] = super().to_internal_value(data)
        return found

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["task"] not in TASKS:
            raise BadParameter(
                f"The task {attrs['task']!r} is not supported. Supported: {', '.join(TASKS)}.",
                param="task",
            )
        own = {role.field for role in SPECS[attrs["task"]].roles}
        for name in ("text_column", *ROLES):
            if attrs.get(name) and name not in own and f"{name}s" not in own:
                raise BadParameter(f"{name} means nothing to {attrs['task']}.", param=name)
        if attrs.get("text_column") and attrs.get("text_columns"):
            raise BadParameter("Send text_column or text_columns, not both.", param="text_columns")
        return attrs

    def wanted(self) -> LaunchRequest:
        """Of a valid request."""
        sent = self.validated_data
        columns = {name: sent[name] for name in ROLES if sent.get(name)}
        if text_column := sent.get("text_column"):
            columns["text_columns"] = [text_column]
        return LaunchRequest(
            task=sent["task"],
            name=sent.get("name"),
            columns=columns,
            base_model=sent.get("base_model"),
            hyperparameters=sent.get("hyperparameters") or {},
            search=sent.get("search"),
            compute=sent.get("compute"),
            priority=sent.get("priority") or 0,
            time_limit_seconds=sent.get("time_limit_seconds"),
        )


class SpanAnswer(serializers.Serializer[Any]):
    low = serializers.IntegerField()
    high = serializers.IntegerField()


class EstimateAnswer(serializers.Serializer[Any]):
    """Will it fit, how long, how much. `allowed` is false when `reasons` says why not."""

    fits = serializers.BooleanField()
    allowed = serializers.BooleanField()
    seconds = SpanAnswer()
    cost_micros = SpanAnswer(help_text="Micro-USD.")
    memory_bytes = serializers.IntegerField()
    available_bytes = serializers.IntegerField()
    reasons = serializers.ListField(child=serializers.CharField())
    sentence = serializers.CharField()


class RestartRequest(serializers.Serializer[Any]):
    checkpoint = serializers.CharField(help_text="The id of a checkpoint of this job.")


class LogAnswer(serializers.Serializer[Any]):
    """The end of the log; it grows while the job runs."""

    object = serializers.CharField(default="training_job.log")
    text = serializers.CharField()


class FailureAnswer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(choices=FailureCode.choices)
    sentence = serializers.CharField()
    title = serializers.CharField()
    next_step = serializers.CharField()
    charged = serializers.BooleanField(help_text="Whether such a failure is paid for.")
    retryable = serializers.BooleanField(help_text="Whether the same job may succeed as it is.")


class JobAnswer(serializers.Serializer[TrainingJob]):
    """A fine-tune as it is now. Give it jobs that came through `for_pages`."""

    object = serializers.CharField(default="training_job")
    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    phase = serializers.SerializerMethodField()
    progress = serializers.FloatField(help_text="0 to 1 over the whole job.")
    eta_seconds = serializers.FloatField(help_text="Null while unknown.")
    cost_micros = serializers.SerializerMethodField(help_text="Micro-USD, refunds taken off.")
    refunded_micros = serializers.SerializerMethodField()
    device_seconds = serializers.SerializerMethodField()
    model = serializers.UUIDField(source="model_id")
    failure = serializers.SerializerMethodField()
    name = serializers.CharField()
    project = serializers.UUIDField(source="project_id")
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")
    dataset_version = serializers.IntegerField(source="dataset_version.number")
    task = serializers.CharField()
    base_model = serializers.CharField()
    text_columns = serializers.ListField(source="recipe.text_columns", default=list)
    feature_columns = serializers.ListField(source="recipe.feature_columns", default=list)
    prompt_columns = serializers.ListField(source="recipe.prompt_columns", default=list)
    image_column = serializers.CharField(source="recipe.image_column", default=None)
    messages_column = serializers.CharField(source="recipe.messages_column", default=None)
    completion_column = serializers.CharField(source="recipe.completion_column", default=None)
    target_column = serializers.CharField(source="recipe.target_column", default=None)
    hyperparameters = serializers.DictField(source="recipe.hyperparameters", default=dict)
    search = serializers.DictField(source="recipe.search", default=None, allow_null=True)
    compute = serializers.CharField(source="compute_class_id")
    priority = serializers.IntegerField()
    time_limit_seconds = serializers.SerializerMethodField()
    pause_code = serializers.ChoiceField(choices=PauseCode.choices, allow_null=True)
    retry_of = serializers.UUIDField(source="retry_of_id")
    source_model = serializers.UUIDField(
        source="source_model_id", help_text="Of an export job: the model it came from."
    )
    export = serializers.DictField(source="recipe.export", default=None, allow_null=True)
    restarted_from = serializers.CharField(
        source="start_from_id", help_text="The checkpoint of another job that this one began from."
    )
    estimate = serializers.DictField()
    step = serializers.IntegerField()
    total_steps = serializers.IntegerField()
    epoch = serializers.FloatField()
    epochs = serializers.IntegerField()
    rows_per_second = serializers.FloatField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()

    def get_time_limit_seconds(self, job: TrainingJob) -> int:
        return limits.limit_seconds(job)

    def get_phase(self, job: TrainingJob) -> str | None:
        return job.phase or None

    def get_cost_micros(self, job: TrainingJob) -> int:
        return cost_of(job).net_micro

    def get_refunded_micros(self, job: TrainingJob) -> int:
        return cost_of(job).refunded_micro

    def get_device_seconds(self, job: TrainingJob) -> float:
        return cost_of(job).device_seconds

    @extend_schema_field(FailureAnswer(allow_null=True))
    def get_failure(self, job: TrainingJob) -> dict[str, Any] | None:
        if job.failure_code is None:
            return None
        reason = REASONS[FailureCode(job.failure_code)]
        return {
            "code": job.failure_code,
            "sentence": job.failure_sentence,
            "title": reason.title,
            "next_step": reason.next_step,
            "charged": reason.is_charged,
            "retryable": reason.is_retryable,
        }


class OneJobAnswer(JobAnswer):
    """The same with the reason a queued job waits, which is not worked out for lists."""

    waiting = serializers.SerializerMethodField()
    jobs_ahead = serializers.SerializerMethodField(
        help_text="Waiting jobs that go before this one; null when it is not its turn at all."
    )

    def get_jobs_ahead(self, job: TrainingJob) -> int | None:
        return turns.jobs_before(job) if job.status == Status.QUEUED else None

    def get_waiting(self, job: TrainingJob) -> str | None:
        return schedule.waiting(job) if job.status == Status.QUEUED else None


class EventAnswer(serializers.Serializer[JobEvent]):
    object = serializers.CharField(default="training_job.event")
    id = serializers.CharField()
    created_at = serializers.DateTimeField(source="at")
    level = serializers.CharField()
    kind = serializers.CharField()
    message = serializers.CharField()
    detail = serializers.DictField(source="data")


class MetricsAnswer(serializers.Serializer[Any]):
    """Curves by name, as [step, value] pairs in order; `measured` says for how many values the
    points of each stand."""

    object = serializers.CharField(default="training_job.metrics")
    metrics = serializers.DictField(child=serializers.ListField())
    measured = serializers.DictField(child=serializers.IntegerField())
    latest = serializers.DictField(child=serializers.FloatField())


class PointAnswer(serializers.Serializer[MetricPoint]):
    """One measured value. The attempt tells apart what two attempts measured at the same step."""

    object = serializers.CharField(default="training_job.metric_point")
    id = serializers.CharField()
    name = serializers.CharField()
    step = serializers.IntegerField()
    epoch = serializers.FloatField()
    value = serializers.FloatField()
    attempt = serializers.IntegerField(source="attempt_number")
    created_at = serializers.DateTimeField(source="at")


class TrialAnswer(serializers.Serializer[Trial]):
    """One training of a job's search; number 0 is the settings as given."""

    object = serializers.CharField(default="training_job.trial")
    id = serializers.CharField()
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=TrialState.choices)
    parameters = serializers.DictField()
    score_name = serializers.CharField()
    score = serializers.FloatField(help_text="On validation rows; null until there is one.")
    scores = serializers.ListField(child=serializers.FloatField(), help_text="Of each epoch.")
    pruned_at = serializers.IntegerField(help_text="The epoch it was cut short after, or null.")
    is_best = serializers.BooleanField()
    seconds = serializers.FloatField()
    created_at = serializers.DateTimeField(source="started_at")


class CheckpointAnswer(serializers.Serializer[Checkpoint]):
    object = serializers.CharField(default="training_job.checkpoint")
    id = serializers.CharField()
    step = serializers.IntegerField()
    epoch = serializers.FloatField()
    metrics = serializers.DictField()
    is_best = serializers.BooleanField()
    deleted_at = serializers.DateTimeField(help_text="When its files were deleted; null: kept.")
    created_at = serializers.DateTimeField()


class ModelAnswer(serializers.Serializer[TrainedModel]):
    """A trained model."""

    object = serializers.CharField(default="model")
    id = serializers.UUIDField()
    name = serializers.CharField()
    project = serializers.UUIDField(source="project_id")
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")
    dataset_version = serializers.IntegerField(source="dataset_version.number")
    job = serializers.UUIDField(source="job.pk", default=None)
    task = serializers.CharField()
    base_model = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    metrics = serializers.DictField()
    artifact_bytes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
