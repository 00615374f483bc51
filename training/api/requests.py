"""Request bodies of the API about jobs, exports and analyses. Unknown fields are refused."""

from typing import Any, get_args

from drf_spectacular.drainage import set_override
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from engine.spec import SPEC_CLASSES, ColumnRole, ExportSpec, SearchSpec, SplitSpec
from training.api.serializers import AnyHyperparameters
from training.forms.search import BUDGET_HELP
from training.jobs.exports import ExportRequest
from training.jobs.launch import TASKS, LaunchRequest
from web.api import BadParameter
from web.reference.hints import DescribedJSONField, Scalar, schema_of
from web.validation.fields import AsStoredField, ChoiceField, FloatField, IntegerField

MAX_INPUT_CHARACTERS = 20_000
EXPORT_FIELDS = ExportSpec.model_fields
SEARCH_FIELDS = SearchSpec.model_fields
SPLIT_FIELDS = SplitSpec.model_fields
SPLIT_METHODS = get_args(SPLIT_FIELDS["method"].annotation)
# Every column that some task asks for, by its name in the task's spec; of tasks that ask for the
# same, the one that also takes several columns instead.
COLUMN_ROLES = {
    role.field: role
    for role in sorted(
        (role for spec in SPEC_CLASSES.values() for role in spec.roles),
        key=lambda role: bool(role.alternative),
    )
}


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, so that a misspelt one is never ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        for name in data if isinstance(data, dict) else ():
            if name not in self.fields:
                path = ".".join(filter(None, [self.field_name, str(name)]))
                known = ", ".join(self.fields)
                raise BadParameter(f"Unknown field {name!r}. Known: {known}.", param=path)
        return super().to_internal_value(data)


@extend_schema_field(
    {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
class NameOrNamesField(AsStoredField):
    """One column, or a list of them where each column is a label."""

    def to_internal_value(self, data: Any) -> str | list[str]:
        if isinstance(data, str):
            return data
        if isinstance(data, list) and all(isinstance(name, str) for name in data):
            return data[0] if len(data) == 1 else data
        raise serializers.ValidationError("Name a column, or a list of columns.")


def _column_field(role: ColumnRole) -> serializers.Field[Any, Any, Any, Any]:
    name = serializers.CharField(trim_whitespace=False)
    if role.many:
        return serializers.ListField(
            child=name, required=False, allow_null=True, help_text=role.help
        )
    if role.alternative:
        return NameOrNamesField(required=False, allow_null=True, help_text=role.help)
    return serializers.CharField(
        required=False, allow_null=True, trim_whitespace=False, help_text=role.help
    )


class HyperparametersField(serializers.DictField):
    """Those of any task, which the launch checks; the reference lists them by task."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        set_override(self, "field", schema_of(AnyHyperparameters | None))


class SearchRequest(StrictSerializer):
    """A search for better hyperparameters within the job, under a time or money budget."""

    trials = IntegerField(required=False, help_text=SEARCH_FIELDS["trials"].description or "")
    seconds = FloatField(
        required=False, allow_null=True, help_text=SEARCH_FIELDS["seconds"].description or ""
    )
    budget_micros = IntegerField(
        required=False, allow_null=True, help_text=f"Micro-USD. {BUDGET_HELP}"
    )
    parameters = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text=SEARCH_FIELDS["parameters"].description or "",
    )


class SplitRequest(StrictSerializer):
    """How rows are divided into train, validation and test. What is left out takes the task's."""

    method = ChoiceField(
        choices=SPLIT_METHODS, required=False, help_text=SPLIT_FIELDS["method"].description or ""
    )
    column = serializers.CharField(
        required=False,
        allow_null=True,
        trim_whitespace=False,
        help_text=SPLIT_FIELDS["column"].description or "",
    )
    seed = IntegerField(required=False, help_text=SPLIT_FIELDS["seed"].description or "")
    validation_fraction = FloatField(
        required=False, help_text=SPLIT_FIELDS["validation_fraction"].description or ""
    )
    test_fraction = FloatField(
        required=False, help_text=SPLIT_FIELDS["test_fraction"].description or ""
    )


class JobRequest(StrictSerializer):
    """A fine-tune to estimate or launch. All but project, dataset and task may be left out."""

    project = serializers.UUIDField()
    dataset = serializers.UUIDField()
    dataset_version = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="One of the dataset's ready versions; left out, its newest.",
    )
    task = serializers.CharField(help_text=f"One of: {', '.join(TASKS)}.")
    name = serializers.CharField(max_length=120, required=False, allow_null=True)
    text_column = serializers.CharField(required=False, allow_null=True, trim_whitespace=False)
    base_model = serializers.CharField(required=False, allow_null=True)
    hyperparameters = HyperparametersField(
        required=False,
        allow_null=True,
        help_text="Those of the task; what is left out takes its default.",
    )
    search = SearchRequest(required=False, allow_null=True)
    split = SplitRequest(required=False, allow_null=True)
    compute = serializers.CharField(required=False, allow_null=True)
    priority = IntegerField(
        required=False,
        allow_null=True,
        help_text="From -10 to 10, among the team's own jobs: higher goes first.",
    )
    time_limit_seconds = IntegerField(
        required=False,
        allow_null=True,
        help_text="Of billable run time; at most the compute class's own limit.",
    )

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {
            name: _column_field(role) for name, role in COLUMN_ROLES.items()
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["task"] not in TASKS:
            raise BadParameter(
                f"The task {attrs['task']!r} is not supported. Supported: {', '.join(TASKS)}.",
                param="task",
            )
        own = {role.field for role in SPEC_CLASSES[attrs["task"]].roles}
        for name in ("text_column", *COLUMN_ROLES):
            if attrs.get(name) and name not in own and f"{name}s" not in own:
                raise BadParameter(f"{name} means nothing to {attrs['task']}.", param=name)
        if isinstance(attrs.get("target_column"), list):
            if "target_columns" not in own:
                raise BadParameter(
                    f"{attrs['task']} learns one column: target_column must be a text.",
                    param="target_column",
                )
            if attrs.get("target_columns"):
                raise BadParameter(
                    "Send target_column or target_columns, not both.", param="target_columns"
                )
            attrs["target_columns"] = attrs.pop("target_column")
        if attrs.get("split_column") and attrs.get("split"):
            raise BadParameter("Send split or split_column, not both.", param="split")
        if attrs.get("text_column") and attrs.get("text_columns"):
            raise BadParameter("Send text_column or text_columns, not both.", param="text_columns")
        return attrs

    def to_launch_request(self) -> LaunchRequest:
        """Of a valid request."""
        sent = self.validated_data
        columns = {name: sent[name] for name in COLUMN_ROLES if sent.get(name)}
        if text_column := sent.get("text_column"):
            columns["text_columns"] = [text_column]
        return LaunchRequest(
            task=sent["task"],
            name=sent.get("name"),
            columns=columns,
            base_model=sent.get("base_model"),
            hyperparameters=sent.get("hyperparameters") or {},
            search=sent.get("search"),
            split=dict(sent.get("split") or {}),
            compute=sent.get("compute"),
            priority=sent.get("priority") or 0,
            time_limit_seconds=sent.get("time_limit_seconds"),
        )


class ExportBody(StrictSerializer):
    """The form wanted. What is left out takes its default."""

    format = serializers.CharField(help_text=EXPORT_FIELDS["format"].description or "")
    keep = FloatField(required=False, help_text=EXPORT_FIELDS["keep"].description or "")
    keep_heads = FloatField(required=False, help_text=EXPORT_FIELDS["keep_heads"].description or "")
    layers = IntegerField(required=False, help_text=EXPORT_FIELDS["layers"].description or "")
    epochs = IntegerField(required=False, help_text=EXPORT_FIELDS["epochs"].description or "")
    largest_loss = FloatField(
        required=False, help_text=EXPORT_FIELDS["largest_loss"].description or ""
    )
    compute = serializers.CharField(required=False, allow_null=True)
    name = serializers.CharField(required=False, allow_null=True, max_length=120)

    def to_export_request(self) -> ExportRequest:
        """Of a valid body."""
        sent = dict(self.validated_data)
        named = {name: sent.pop(name, None) for name in ("format", "compute", "name")}
        return ExportRequest(options=sent, **named)


class RestartRequest(serializers.Serializer[Any]):
    checkpoint = serializers.CharField(help_text="The id of a checkpoint of this job.")


class AnalysisRequest(serializers.Serializer[Any]):
    kind = ChoiceField(
        choices=["groups", "explain"],
        help_text="groups: fairness by `column`. explain: what made the answer to `input`.",
    )
    column = serializers.CharField(required=False, max_length=255)
    label = serializers.CharField(  # type: ignore[assignment]
        required=False, max_length=1000
    )
    input = DescribedJSONField(
        str | dict[str, Scalar], required=False, help_text="A text, or a mapping of cells."
    )
    row = IntegerField(
        required=False,
        min_value=0,
        max_value=2**31,
        help_text="A row of the model's data, from 0: a picture, or a table's cells.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] == "groups" and not attrs.get("column"):
            raise BadParameter("groups needs column.", param="column")
        if attrs["kind"] == "explain" and not attrs.get("input") and "row" not in attrs:
            raise BadParameter("explain needs input, or row.", param="input")
        if not isinstance(attrs.get("input", ""), str | dict):
            raise BadParameter("input must be a text or a mapping of cells.", param="input")
        if len(str(attrs.get("input", ""))) > MAX_INPUT_CHARACTERS:
            raise BadParameter(
                f"input is longer than {MAX_INPUT_CHARACTERS:,} characters.", param="input"
            )
        return attrs
