"""What the API answers about jobs and models. Request bodies are in `training.api.requests`."""

from typing import Any, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from engine.spec import (
    ExportSpec,
    GenerationHyperparameters,
    ImageHyperparameters,
    SearchSpec,
    SplitSpec,
    TabularHyperparameters,
    TextHyperparameters,
)
from training.jobs import limits
from training.jobs.failures import FAILURE_REASONS
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
from training.queries.job_costs import cost_of
from training.scheduling import queue_order
from training.scheduling.wait_reason import wait_reason
from web.reference.hints import DescribedField, Scalar
from web.validation.fields import ChoiceField

AnyHyperparameters = (
    TextHyperparameters | TabularHyperparameters | ImageHyperparameters | GenerationHyperparameters
)


class StoredEstimate(TypedDict, total=False):
    """What was expected when the job was launched; amounts are millionths of a US dollar."""

    seconds: float
    seconds_low: float
    seconds_high: float
    cost_low_micro: int
    cost_high_micro: int
    memory_bytes: int


class AnalysisQuestion(TypedDict, total=False):
    """What was asked: fairness by `column`, or what made the answer to `input` or `row`."""

    column: str
    label: str
    input: str | dict[str, Scalar]
    row: int
    version: str
    picture: str


class SpanAnswer(serializers.Serializer[Any]):
    low = serializers.IntegerField()
    high = serializers.IntegerField()


class LabelCountAnswer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField()


class InspectionAnswer(serializers.Serializer[Any]):
    """What the job would learn from: rows by split, labels with their rows, and what is skipped."""

    rows = serializers.IntegerField()
    train_rows = serializers.IntegerField()
    validation_rows = serializers.IntegerField()
    test_rows = serializers.IntegerField()
    labels = LabelCountAnswer(many=True)
    warnings = serializers.ListField(child=serializers.CharField())


class EstimateAnswer(serializers.Serializer[Any]):
    """Will it fit, how long, how much. `allowed` is false when `reasons` says why not.

    `data` is what the job would read; null where it refuses the data, or reading takes too long.
    """

    fits = serializers.BooleanField()
    allowed = serializers.BooleanField()
    seconds = SpanAnswer()
    cost_micros = SpanAnswer(help_text="Micro-USD.")
    memory_bytes = serializers.IntegerField()
    available_bytes = serializers.IntegerField()
    reasons = serializers.ListField(child=serializers.CharField())
    sentence = serializers.CharField()
    data = InspectionAnswer(allow_null=True)  # type: ignore[assignment]


class LogAnswer(serializers.Serializer[Any]):
    """The end of the log; it grows while the job runs."""

    object = serializers.CharField(default="training_job.log")
    text = serializers.CharField()


class FailureAnswer(serializers.Serializer[Any]):
    code = ChoiceField(choices=FailureCode.choices)
    sentence = serializers.CharField()
    title = serializers.CharField()
    next_step = serializers.CharField()
    charged = serializers.BooleanField(help_text="Whether such a failure is paid for.")
    retryable = serializers.BooleanField(help_text="Whether the same job may succeed as it is.")


class JobAnswer(serializers.Serializer[TrainingJob]):
    """A fine-tune as it is now. Give it jobs that came through `for_pages`."""

    object = serializers.CharField(default="training_job")
    id = serializers.UUIDField()
    status = ChoiceField(choices=Status.choices)
    phase = serializers.SerializerMethodField()
    progress = serializers.FloatField(help_text="0 to 1 over the whole job.")
    eta_seconds = serializers.FloatField(allow_null=True, help_text="Null while unknown.")
    cost_micros = serializers.SerializerMethodField(help_text="Micro-USD, refunds taken off.")
    refunded_micros = serializers.SerializerMethodField()
    device_seconds = serializers.SerializerMethodField()
    model = serializers.UUIDField(source="model_id", allow_null=True)
    failure = serializers.SerializerMethodField()
    name = serializers.CharField()
    project = serializers.UUIDField(source="project_id")
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")
    dataset_version = serializers.IntegerField(source="dataset_version.number")
    task = serializers.CharField()
    base_model = serializers.CharField()
    text_columns = serializers.ListField(
        child=serializers.CharField(), source="recipe.text_columns", default=list
    )
    feature_columns = serializers.ListField(
        child=serializers.CharField(), source="recipe.feature_columns", default=list
    )
    prompt_columns = serializers.ListField(
        child=serializers.CharField(), source="recipe.prompt_columns", default=list
    )
    image_column = serializers.CharField(
        source="recipe.image_column", default=None, allow_null=True
    )
    messages_column = serializers.CharField(
        source="recipe.messages_column", default=None, allow_null=True
    )
    completion_column = serializers.CharField(
        source="recipe.completion_column", default=None, allow_null=True
    )
    rejected_column = serializers.CharField(
        source="recipe.rejected_column", default=None, allow_null=True
    )
    system_column = serializers.CharField(
        source="recipe.system_column", default=None, allow_null=True
    )
    history_column = serializers.CharField(
        source="recipe.history_column", default=None, allow_null=True
    )
    target_column = serializers.CharField(
        source="recipe.target_column", default=None, allow_null=True
    )
    target_columns = serializers.ListField(
        child=serializers.CharField(), source="recipe.target_columns", default=list
    )
    split_column = serializers.CharField(
        source="recipe.split_column", default=None, allow_null=True
    )
    split = DescribedField(
        SplitSpec | None,
        source="recipe.split",
        default=None,
        help_text="How rows are divided; null where the split column or the task's default holds.",
    )
    hyperparameters = DescribedField(
        AnyHyperparameters,
        source="recipe.hyperparameters",
        default=dict,
        help_text="Those that were chosen; the others have the task's defaults.",
    )
    search = DescribedField(SearchSpec | None, source="recipe.search", default=None)
    compute = serializers.CharField(source="compute_class_id")
    priority = serializers.IntegerField()
    time_limit_seconds = serializers.SerializerMethodField()
    pause_code = ChoiceField(choices=PauseCode.choices, allow_null=True)
    retry_of = serializers.UUIDField(source="retry_of_id", allow_null=True)
    source_model = serializers.UUIDField(
        source="source_model_id",
        allow_null=True,
        help_text="Of an export job: the model it came from.",
    )
    initial_model = serializers.UUIDField(
        source="initial_model_id",
        allow_null=True,
        help_text="The finished model whose weights training goes on from.",
    )
    export = DescribedField(ExportSpec | None, source="recipe.export", default=None)
    restarted_from = serializers.CharField(
        source="start_from_id",
        allow_null=True,
        help_text="The checkpoint of another job that this one began from.",
    )
    estimate = DescribedField(StoredEstimate)
    step = serializers.IntegerField()
    total_steps = serializers.IntegerField()
    epoch = serializers.FloatField()
    epochs = serializers.IntegerField()
    rows_per_second = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    notes = serializers.CharField()
    archived_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when it is in the trash; null: it is not."
    )

    def get_time_limit_seconds(self, job: TrainingJob) -> int:
        return limits.effective_time_limit(job)

    def get_phase(self, job: TrainingJob) -> str | None:
        return job.phase or None

    def get_cost_micros(self, job: TrainingJob) -> int:
        return cost_of(job).net_micro

    def get_refunded_micros(self, job: TrainingJob) -> int:
        return cost_of(job).refunded_micro

    def get_device_seconds(self, job: TrainingJob) -> float:
        return cost_of(job).device_seconds

    @extend_schema_field(FailureAnswer(allow_null=True))
    def get_failure(self, job: TrainingJob) -> dict[str, str | bool] | None:
        if job.failure_code is None:
            return None
        reason = FAILURE_REASONS[FailureCode(job.failure_code)]
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
        return queue_order.queue_position(job) if job.status == Status.QUEUED else None

    def get_waiting(self, job: TrainingJob) -> str | None:
        return wait_reason(job) if job.status == Status.QUEUED else None


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
    metrics = DescribedField(dict[str, list[list[float]]])
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
    state = ChoiceField(choices=TrialState.choices)
    parameters = DescribedField(dict[str, Scalar])
    score_name = serializers.CharField()
    score = serializers.FloatField(
        allow_null=True, help_text="On validation rows; null until there is one."
    )
    scores = serializers.ListField(child=serializers.FloatField(), help_text="Of each epoch.")
    pruned_at = serializers.IntegerField(
        allow_null=True, help_text="The epoch it was cut short after, or null."
    )
    is_best = serializers.BooleanField()
    seconds = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField(source="started_at")


class CheckpointAnswer(serializers.Serializer[Checkpoint]):
    object = serializers.CharField(default="training_job.checkpoint")
    id = serializers.CharField()
    step = serializers.IntegerField()
    epoch = serializers.FloatField()
    metrics = DescribedField(dict[str, float | None])
    is_best = serializers.BooleanField()
    deleted_at = serializers.DateTimeField(
        allow_null=True, help_text="When its files were deleted; null: kept."
    )
    created_at = serializers.DateTimeField()


class ModelAnswer(serializers.Serializer[TrainedModel]):
    """A trained model."""

    object = serializers.CharField(default="model")
    id = serializers.UUIDField()
    name = serializers.CharField()
    project = serializers.UUIDField(source="project_id")
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")
    dataset_version = serializers.IntegerField(source="dataset_version.number")
    job = serializers.UUIDField(source="job.pk", default=None, allow_null=True)
    task = serializers.CharField()
    base_model = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    metrics = DescribedField(dict[str, float | None])
    artifact_bytes = serializers.IntegerField()
    tags = serializers.ListField(child=serializers.CharField())
    notes = serializers.CharField()
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when it is in the trash; null: it is not."
    )


class AnalysisAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.CharField(default="analysis")
    kind = serializers.CharField()
    question = DescribedField(AnalysisQuestion)
    result = serializers.JSONField(allow_null=True)
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
