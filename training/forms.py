"""The launch form: columns of one dataset version, base models, machines, and every hyperparameter.

The advanced fields are generated from `engine.spec.Hyperparameters`, so the engine's bounds,
titles and descriptions are the form's.
"""

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from django import forms
from django.http import QueryDict
from django.utils.timezone import now
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from billing.models import Rate
from engine.catalog import CATALOG
from engine.spec import Hyperparameters
from projects.models import DatasetVersion
from training.launch import LaunchRequest
from training.models import ComputeClass

TASK = "text-classification"


class HyperparameterForm(forms.Form):
    """One field for each hyperparameter; an empty one keeps the default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, info in Hyperparameters.model_fields.items():
            self.fields[name] = _field_for(info)

    def clean(self) -> dict[str, Any]:
        chosen = {
            name: value for name, value in self.cleaned_data.items() if value not in ("", None)
        }
        try:
            Hyperparameters.model_validate(chosen)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                self.add_error(name, problem["msg"])
        return chosen


def _field_for(info: FieldInfo) -> forms.Field:
    facts: dict[str, Any] = {
        "label": info.title,
        "help_text": info.description or "",
        "initial": info.default,
        "required": False,
    }
    if get_origin(info.annotation) is Literal:
        return forms.ChoiceField(choices=[(one, one) for one in get_args(info.annotation)], **facts)
    bounds = {"min_value": _bound(info, Ge, Gt), "max_value": _bound(info, Le, Lt)}
    if info.annotation is int:
        return forms.IntegerField(**bounds, **facts)
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **bounds, **facts)


def _bound(info: FieldInfo, *kinds: type[Any]) -> Any:
    """The number in the first of these constraints; strict bounds are pydantic's to refuse."""
    for kind in kinds:
        for constraint in info.metadata:
            if isinstance(constraint, kind):
                return getattr(constraint, kind.__name__.lower())
    return None


class LaunchForm(forms.Form):
    """What to train on one dataset version, and on which machine."""

    name = forms.CharField(
        max_length=120, required=False, help_text="Made from the dataset's name if left empty."
    )
    text_columns = forms.MultipleChoiceField(
        label="Text",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose a text column"},
        help_text="What the model reads. Several columns are joined in this order.",
    )
    target_column = forms.ChoiceField(
        label="Label",
        error_messages={"required": "Choose the label column"},
        help_text="What the model learns to answer.",
    )
    base_model = forms.ChoiceField(label="Base model")
    compute = forms.ChoiceField(label="Machine")

    data: QueryDict

    def __init__(self, version: DatasetVersion, data: QueryDict) -> None:
        super().__init__(data)
        self.version = version
        names = [str(column["name"]) for column in version.columns]
        self._choices("text_columns", [(name, name) for name in names])
        self._choices("target_column", [("", "Choose a column"), *((name, name) for name in names)])
        self._choices("base_model", base_model_choices())
        self._choices("compute", machine_choices())
        self.advanced = HyperparameterForm(self.data, prefix="hyperparameters")

    @classmethod
    def starting_with(cls, version: DatasetVersion, chosen: dict[str, Any]) -> "LaunchForm":
        """A form already filled in, so that the first page can show an estimate."""
        data = QueryDict(mutable=True)
        data["name"], data["target_column"] = chosen["name"], chosen["target_column"]
        data.setlist("text_columns", chosen["text_columns"])
        data["base_model"] = chosen["base_model"] or base_model_choices()[0][0]
        machines = offered_machines()
        data["compute"] = chosen["compute"] or (machines[0].code if machines else "")
        for name, value in (Hyperparameters().model_dump() | chosen["hyperparameters"]).items():
            data[f"hyperparameters-{name}"] = (
                f"{value:.12g}" if isinstance(value, float) else str(value)
            )
        return cls(version, data)

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("target_column") in cleaned.get("text_columns", []):
            self.add_error("target_column", "Text and label cannot be the same column")
        if not self.advanced.is_valid():
            self.add_error(None, "Check the advanced options")
        return cleaned

    @property
    def blocker(self) -> str:
        """The first thing in the way of a launch, short enough for a button."""
        for problems in self.errors.values():
            return str(problems[0]).rstrip(".")
        return ""

    def wanted(self) -> LaunchRequest:
        """Of a valid form."""
        chosen = self.cleaned_data
        return LaunchRequest(
            name=chosen["name"] or None,
            task=TASK,
            text_columns=chosen["text_columns"],
            target_column=chosen["target_column"],
            base_model=chosen["base_model"],
            hyperparameters=self.advanced.cleaned_data,
            compute=chosen["compute"],
        )


def base_model_choices() -> list[tuple[str, str]]:
    return [
        (entry.id, f"{entry.name} · {entry.parameters / 1e6:.0f} M{_place(entry.offline)}")
        for entry in CATALOG.values()
        if TASK in entry.tasks
    ]


def _place(is_offline: bool) -> str:
    return "" if is_offline else " · downloaded from the hub"


def machine_choices() -> list[tuple[str, str]]:
    """Offered compute classes with their price for an hour."""
    rates = {rate.sku: rate for rate in Rate.objects.filter(valid__contains=now())}
    return [(machine.code, _priced(machine, rates)) for machine in offered_machines()]


def offered_machines() -> list[ComputeClass]:
    return list(ComputeClass.objects.filter(is_offered=True).order_by("order", "code"))


def _priced(machine: ComputeClass, rates: dict[str, Rate]) -> str:
    rate = rates.get(machine.code)
    if rate is None:
        return machine.name
    dollars = rate.nano_per_unit * machine.devices * 3600 / 1e9
    return f"{machine.name} · ${dollars:.2f} an hour, by the second"
