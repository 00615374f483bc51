"""The launch form: columns of one dataset version, base models, machines, and every hyperparameter.

Columns and advanced fields are generated from the task's spec in `engine.spec`, so the engine's
roles, bounds, titles and descriptions are the form's.
"""

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from django import forms
from django.http import QueryDict
from django.utils.timezone import now
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from billing.models import Rate
from engine import catalog
from engine.spec import SPECS, ColumnRole, LoopHyperparameters, hyperparameters_of
from projects.models import DatasetVersion
from training.job_listing import task_words
from training.launch import TASKS, LaunchRequest, suggested_task
from training.models import ComputeClass
from training.search_options import SearchForm
from training.time_limit_field import TimeLimitField, form_values, hint, problem


class HyperparameterForm(forms.Form):
    """One field for each of the task's hyperparameters; an empty one keeps the default."""

    def __init__(self, task: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._class = hyperparameters_of(task)
        shared = LoopHyperparameters.model_fields
        # What only this task has comes first: it is what people look for.
        for name, info in sorted(
            self._class.model_fields.items(), key=lambda item: item[0] in shared
        ):
            self.fields[name] = field_for(info)

    def clean(self) -> dict[str, Any]:
        chosen = {
            name: value for name, value in self.cleaned_data.items() if value not in ("", None)
        }
        try:
            self._class.model_validate(chosen)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                self.add_error(name, problem["msg"])
        return chosen


def field_for(info: FieldInfo) -> forms.Field:
    facts: dict[str, Any] = {
        "label": info.title,
        "help_text": info.description or "",
        "initial": info.default,
        "required": False,
    }
    if get_origin(info.annotation) is Literal:
        return forms.ChoiceField(choices=[(one, one) for one in get_args(info.annotation)], **facts)
    if info.annotation is bool:
        # A checkbox left empty sends nothing, which would read as "keep the default".
        return forms.TypedChoiceField(
            choices=[("True", "yes"), ("False", "no")], coerce=_is_yes, empty_value="", **facts
        )
    if info.annotation is str:
        return forms.CharField(max_length=200, **facts)
    bounds = {"min_value": _bound(info, Ge, Gt), "max_value": _bound(info, Le, Lt)}
    if info.annotation is int:
        return forms.IntegerField(**bounds, **facts)
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **bounds, **facts)


def _is_yes(value: str) -> bool:
    return value == "True"


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
    task = forms.ChoiceField(
        label="Task",
        help_text="What the model learns to do.",
        widget=forms.Select(attrs={"class": "select"}),
    )
    base_model = forms.ChoiceField(label="Base model")
    compute = forms.ChoiceField(label="Machine")
    time_limit = TimeLimitField(label="Time limit")

    data: QueryDict

    def __init__(self, version: DatasetVersion, data: QueryDict) -> None:
        super().__init__(data)
        self.version = version
        asked = data.get("task")
        self.chosen_task: str = asked if asked in TASKS else suggested_task(version)
        self.roles = SPECS[self.chosen_task].roles
        for role in self.roles:
            self.fields[role.field] = _column_field(role, _fitting_columns(role, version))
        self._choices("task", [(task, task_words(task).capitalize()) for task in TASKS])
        self.fields["task"].required = False
        self._choices("base_model", base_model_choices(self.chosen_task))
        self._machines = offered_machines()
        self._choices("compute", machine_choices(self._machines))
        self.fields["time_limit"].help_text = hint(self._machines)
        self.advanced = HyperparameterForm(self.chosen_task, self.data, prefix="hyperparameters")
        self.search = SearchForm(self.chosen_task, self.data, prefix="search")

    @classmethod
    def starting_with(cls, version: DatasetVersion, chosen: dict[str, Any]) -> "LaunchForm":
        """A form already filled in, so that the first page can show an estimate."""
        data = QueryDict(mutable=True)
        data["name"], data["task"] = chosen["name"], chosen["task"]
        for field, columns in chosen["columns"].items():
            data.setlist(field, columns)
        data["base_model"] = chosen["base_model"] or base_model_choices(chosen["task"])[0][0]
        machines = offered_machines()
        data["compute"] = chosen["compute"] or (machines[0].code if machines else "")
        data.update(form_values(chosen["time_limit_seconds"]))
        defaults = hyperparameters_of(chosen["task"])().model_dump()
        for name, value in (defaults | chosen["hyperparameters"]).items():
            data[f"hyperparameters-{name}"] = (
                f"{value:.12g}" if isinstance(value, float) else str(value)
            )
        for name, values in _search_fields(chosen.get("search") or {}).items():
            data.setlist(f"search-{name}", values)
        return cls(version, data)

    @property
    def role_fields(self) -> list[tuple[ColumnRole, forms.BoundField]]:
        return [(role, self[role.field]) for role in self.roles]

    def columns_of(self, *, targets: bool) -> list[str]:
        """The columns chosen so far to be learnt from, or to be answered."""
        return [
            name
            for role in self.roles
            if role.is_target == targets and not role.is_about
            for name in self.data.getlist(role.field)
            if name
        ]

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        for role, target in self._clashes():
            self.add_error(
                target.field, f"{role.title} and {target.title.lower()} cannot be the same column"
            )
        for machine in self._machines:
            if machine.code == cleaned.get("compute"):
                self._check_time_limit(machine)
        if not self.advanced.is_valid():
            self.add_error(None, "Check the advanced options")
        if not self.search.is_valid():
            self.add_error(None, "Check the search")
        return cleaned

    def _check_time_limit(self, machine: ComputeClass) -> None:
        if wrong := problem(self.cleaned_data.get("time_limit"), machine):
            self.add_error("time_limit", wrong)

    def _clashes(self) -> list[tuple[ColumnRole, ColumnRole]]:
        """Pairs of an input and a target role that were given the same column."""
        targets = [role for role in self.roles if role.is_target]
        inputs = [role for role in self.roles if not role.is_target and not role.is_about]
        return [
            (role, target)
            for target in targets
            for role in inputs
            if set(target.named(self.cleaned_data)) & set(role.named(self.cleaned_data))
        ]

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
            task=self.chosen_task,
            columns={role.field: chosen[role.field] for role in self.roles},
            base_model=chosen["base_model"],
            hyperparameters=self.advanced.cleaned_data,
            search=self.search.wanted(),
            compute=chosen["compute"],
            time_limit_seconds=chosen["time_limit"],
        )


def _search_fields(search: dict[str, Any]) -> dict[str, list[str]]:
    """An earlier job's search, as the form's fields."""
    fields = {"parameters": list(search.get("parameters", []))}
    if "trials" in search:
        fields["trials"] = [str(search["trials"])]
    if "seconds" in search:
        fields["minutes"] = [f"{search['seconds'] / 60:.4g}"]
    return fields


def _fitting_columns(role: ColumnRole, version: DatasetVersion) -> list[str]:
    """Those of a type the role asks for; pictures are offered to roles that ask for them alone."""
    return [
        str(column["name"])
        for column in version.columns
        if (column["type"] in role.types if role.types else column["type"] != "image")
    ]


def _column_field(role: ColumnRole, names: list[str]) -> forms.Field:
    choices = [(name, name) for name in names]
    article = "the" if role.is_target else "a"
    facts: dict[str, Any] = {
        "label": role.title,
        "help_text": role.help,
        "required": role.required,
        "error_messages": {"required": f"Choose {article} {role.title.lower()} column"},
    }
    if role.many:
        boxes = forms.CheckboxSelectMultiple
        return forms.MultipleChoiceField(choices=choices, widget=boxes, **facts)
    return forms.ChoiceField(choices=[("", "Choose a column"), *choices], **facts)


def base_model_choices(task: str) -> list[tuple[str, str]]:
    return [
        (entry.id, f"{entry.name} · {_size(entry.parameters)}{_place(entry.offline)}")
        for entry in catalog.entries_for(task)
    ]


def _size(parameters: int) -> str:
    return f"{parameters / 1e6:.0f} M" if parameters >= 1e6 else f"{parameters / 1e6:.1f} M"


def _place(is_offline: bool) -> str:
    return "" if is_offline else " · downloaded from the hub"


def machine_choices(machines: list[ComputeClass]) -> list[tuple[str, str]]:
    """These compute classes with their price for an hour."""
    rates = {rate.sku: rate for rate in Rate.objects.filter(valid__contains=now())}
    return [(machine.code, _priced(machine, rates)) for machine in machines]


def offered_machines() -> list[ComputeClass]:
    return list(ComputeClass.objects.filter(is_offered=True).order_by("order", "code"))


def _priced(machine: ComputeClass, rates: dict[str, Rate]) -> str:
    rate = rates.get(machine.code)
    if rate is None:
        return machine.name
    dollars = rate.nano_per_unit * machine.devices * 3600 / 1e9
    return f"{machine.name} · ${dollars:.2f} an hour, by the second"
