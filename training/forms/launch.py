"""The launch form: columns of one dataset version, base models, machines, and every hyperparameter.

Columns and advanced fields are generated from the task's spec in `engine.spec`, so the engine's
roles, bounds, titles and descriptions are the form's.
"""

import re
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.functional import lazy
from django.utils.text import capfirst
from django.utils.timezone import now

from accounts.models import User
from billing.models import Rate
from engine import catalog
from engine.spec import SPEC_CLASSES, ColumnRole, hyperparameters_class
from projects.models import DatasetVersion
from training.estimates.estimate import offered_machines
from training.forms.hyperparameters import HyperparameterForm
from training.forms.search import SearchForm, search_form_data
from training.forms.split import SplitForm, split_form_data
from training.forms.time_limit import (
    TimeLimitField,
    time_limit_error,
    time_limit_form_data,
    time_limit_help_text,
)
from training.jobs.base_model_choice import CHAT_TASK, default_base_model
from training.jobs.hub import is_obtainable
from training.jobs.launch import TASKS, LaunchRequest, suggested_task
from training.jobs.launch_preview import LaunchPreview, preview_launch
from training.jobs.presets import (
    DEFAULT_PRESET,
    EXPERT,
    PRESETS,
    PRESETS_BY_KEY,
    Preset,
    apply_preset,
)
from training.models import ComputeClass
from training.queries.job_list import format_task
from training.queries.preset_results import PresetResult, last_results
from training.queries.starts import find_starts, start_key
from web.language.sentences import lazy_choices, translated, translated_lazy


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
    preset = forms.ChoiceField(
        choices=lazy_choices([*((one.key, one.title) for one in PRESETS), (EXPERT, "Expert")]),
        required=False,
    )
    time_limit = TimeLimitField(label="Time limit")

    data: QueryDict

    def __init__(self, version: DatasetVersion, data: QueryDict) -> None:
        super().__init__(data)
        self.version = version
        task = data.get("task")
        self.chosen_task: str = task if task in TASKS else suggested_task(version)
        roles = SPEC_CLASSES[self.chosen_task].roles
        self.roles = [role for role in roles if role.field != "split_column"]  # See SplitForm.
        for role in self.roles:
            self.fields[role.field] = _column_field(
                role, _eligible_columns(role, version, data.getlist(role.field))
            )
        self._set_choices("task", [(task, _task_label(task)) for task in TASKS])
        self.fields["task"].required = False
        starts = find_starts(version.dataset.project.team, data.get("base_model", ""))
        self.starts = starts if self.chosen_task == CHAT_TASK else {}
        self._set_choices(
            "base_model",
            lazy_choices(
                [
                    *[
                        (entry.id, _format_base_model(entry))
                        for entry in catalog.base_models_for_task(self.chosen_task)
                    ],
                    *((key, f"{one.name} · trained on from") for key, one in self.starts.items()),
                ]
            ),
        )
        self._machines = offered_machines()
        self._set_choices("compute", lazy_choices(machine_choices(self._machines)))
        self.fields["time_limit"].help_text = time_limit_help_text(self._machines)
        self.advanced = HyperparameterForm(self.chosen_task, self.data, prefix="hyperparameters")
        self.search = SearchForm(self.chosen_task, self.data, prefix="search")
        self.split = SplitForm(version, self.data, prefix="split")

    @classmethod
    def prefilled(cls, version: DatasetVersion, request: LaunchRequest) -> "LaunchForm":
        """A form already filled in, so that the first page can show an estimate."""
        task = request.task or suggested_task(version)
        machines = offered_machines()
        data = QueryDict(mutable=True)
        data["name"], data["task"] = request.name or "", task
        is_copy = bool(request.hyperparameters or request.search)
        data["preset"] = EXPERT if is_copy else DEFAULT_PRESET
        for field, columns in request.columns.items():
            data.setlist(field, [columns] if isinstance(columns, str) else columns)
        data["base_model"] = (
            (start_key(request.initial_model) if request.initial_model else None)
            or request.base_model
            or default_base_model(task, version, request.columns.get("text_columns") or []).id
        )
        data["compute"] = request.compute or (machines[0].code if machines else "")
        data.update(time_limit_form_data(request.time_limit_seconds))
        defaults = hyperparameters_class(task)().model_dump()
        for name, value in (defaults | request.hyperparameters).items():
            text = f"{value:.12g}" if isinstance(value, float) else str(value)
            data[f"hyperparameters-{name}"] = text
        for name, value in split_form_data(task, request).items():
            data[f"split-{name}"] = value
        for name, values in search_form_data(request.search or {}).items():
            data.setlist(f"search-{name}", values)
        return cls(version, data)

    @property
    def is_base_model_obtainable(self) -> bool:
        """False where the chosen base model must be downloaded and the hub does not answer."""
        entry = catalog.CATALOG.get(self.data.get("base_model", ""))
        return entry is None or is_obtainable(entry)

    @property
    def role_fields(self) -> list[tuple[ColumnRole, forms.BoundField]]:
        return [(role, self[role.field]) for role in self.roles]

    def columns_of(self, *, targets: bool) -> list[str]:
        """The columns chosen so far to be learnt from, or to be answered."""
        return [
            name
            for role in self.roles
            if role.is_target == targets and not role.is_report_only
            for name in self.data.getlist(role.field)
            if name
        ]

    def _set_choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean(self) -> dict[str, object]:
        cleaned = self.cleaned_data
        for role in self.roles:
            if role.alternative and role.required:
                chosen = [bool(cleaned.get(name)) for name in (role.field, role.alternative)]
                if chosen == [True, True]:
                    self.add_error(role.alternative, "Choose one label column or several, not both")
                elif not any(chosen) and role.field not in self.errors:
                    self.add_error(role.field, f"Choose the {role.title.lower()} column")
        for role, target in self._column_conflicts():
            self.add_error(
                target.field, f"{role.title} and {target.title.lower()} cannot be the same column"
            )
        for machine in self._machines:
            if machine.code == cleaned.get("compute") and (
                problem := time_limit_error(cleaned.get("time_limit"), machine)
            ):
                self.add_error("time_limit", problem)
        parts = {"advanced options": self.advanced, "search": self.search, "split": self.split}
        for title, part in parts.items():
            if not part.is_valid():
                self.add_error(None, f"Check the {title}")
        return cleaned

    def _column_conflicts(self) -> list[tuple[ColumnRole, ColumnRole]]:
        """Pairs of an input and a target role that were given the same column."""
        targets = [role for role in self.roles if role.is_target]
        inputs = [role for role in self.roles if not role.is_target and not role.is_report_only]
        return [
            (role, target)
            for target in targets
            for role in inputs
            if set(target.columns_in(self.cleaned_data)) & set(role.columns_in(self.cleaned_data))
        ]

    @property
    def first_error(self) -> str:
        """The first thing in the way of a launch, short enough for a button."""
        for problems in self.errors.values():
            return str(problems[0]).rstrip(".")
        return ""

    def preview(self, viewer: User) -> LaunchPreview:
        """What launching this would take; an invalid form is a blocking reason."""
        if not self.is_valid():
            return LaunchPreview(None, self.first_error)
        return preview_launch(self.version, self.to_launch_request(), viewer)

    @property
    def chosen_preset(self) -> str:
        """A form that names none, as programs send it, means its own values."""
        sent = self.data.get("preset", EXPERT)
        return sent if sent in PRESETS_BY_KEY else EXPERT

    def preset_offers(
        self, viewer: User
    ) -> list[tuple[Preset, LaunchPreview, PresetResult | None]]:
        """What each preset would take with the columns, base model and machine chosen so far, and
        what it came to last time, if it ran before."""
        if not self.is_valid():
            return [(preset, LaunchPreview(None, self.first_error), None) for preset in PRESETS]
        own = self._own_request()
        results = last_results(self.version, own)
        return [
            (
                preset,
                preview_launch(self.version, apply_preset(own, preset.key), viewer),
                results.get(preset.key),
            )
            for preset in PRESETS
        ]

    def to_launch_request(self) -> LaunchRequest:
        """Of a valid form: its own values, or the preset's in place of the expert ones."""
        own = self._own_request()
        return own if self.chosen_preset == EXPERT else apply_preset(own, self.chosen_preset)

    def _own_request(self) -> LaunchRequest:
        cleaned = self.cleaned_data
        start = self.starts.get(cleaned["base_model"])
        return LaunchRequest(
            name=cleaned["name"] or None,
            task=self.chosen_task,
            columns={role.field: cleaned[role.field] for role in self.roles},
            base_model=start.base_model if start else cleaned["base_model"],
            initial_model=start,
            hyperparameters=self.advanced.cleaned_data,
            search=self.search.to_search_options(),
            split={
                name: value
                for name, value in self.split.cleaned_data.items()
                if value not in ("", None)
            },
            compute=cleaned["compute"],
            time_limit_seconds=cleaned["time_limit"],
        )


# Words in the names of columns by which people should be treated alike.
OF_PEOPLE = {
    "sex", "gender", "age", "race", "ethnicity", "religion", "nationality", "disability",
    "marital", "性别", "年龄", "民族", "种族", "宗教", "国籍", "婚姻",
}  # fmt: skip
MAX_GROUPS = 30  # A column with more different values than this holds no groups to compare.


def _eligible_columns(role: ColumnRole, version: DatasetVersion, chosen: list[str]) -> list[str]:
    """Those of a type the role asks for; pictures are offered to roles that ask for them alone.
    For comparing groups, only columns with few different values."""
    names = [
        str(column["name"])
        for column in version.columns
        if (column["type"] in role.types if role.types else column["type"] != "image")
    ]
    return _group_columns(names, version, chosen) if role.is_report_only else names


def _group_columns(names: list[str], version: DatasetVersion, chosen: list[str]) -> list[str]:
    """Those with few different values, the label only if it is chosen already; first those that
    name groups of people."""
    profile = {column["name"]: column for column in version.profile.get("columns", [])}
    label = (version.profile.get("suggested") or {}).get("target_column")
    groups = [
        name
        for name in names
        if (name != label or name in chosen)
        and profile.get(name, {}).get("unique", 0) <= MAX_GROUPS
    ]
    return sorted(groups, key=lambda name: not set(re.split(r"[\W_]+", name.lower())) & OF_PEOPLE)


def _column_field(role: ColumnRole, names: list[str]) -> forms.Field:
    choices = [(name, name) for name in names]
    article = "the" if role.is_target else "a"
    field: forms.ChoiceField
    if role.many:
        boxes = forms.CheckboxSelectMultiple
        field = forms.MultipleChoiceField(choices=choices, widget=boxes)
    else:
        field = forms.ChoiceField(choices=[("", translated_lazy("Choose a column")), *choices])
    field.label, field.help_text, field.required = role.title, role.help, role.required
    if role.alternative:
        field.required = False
    field.error_messages["required"] = f"Choose {article} {role.title.lower()} column"
    return field


_task_label: Any = lazy(lambda task: capfirst(translated(format_task(task))), str)


def _format_base_model(entry: catalog.BaseModelEntry) -> str:
    digits = 0 if entry.parameters >= 1e6 else 1
    title, millions = entry.name, f"{entry.parameters / 1e6:.{digits}f}"
    if entry.source.kind == "scratch" and CHAT_TASK in entry.tasks:
        return f"{title} · {millions} M · demo only, it knows no language"
    if entry.offline:
        return f"{title} · {millions} M"
    if is_obtainable(entry):
        return f"{title} · {millions} M · downloaded"
    return f"{title} · {millions} M · cannot be downloaded now"


def machine_choices(machines: list[ComputeClass]) -> list[tuple[str, str]]:
    """These compute classes with their price for an hour."""
    rates = {rate.sku: rate for rate in Rate.objects.filter(valid__contains=now())}
    return [(machine.code, _format_machine(machine, rates)) for machine in machines]


def _format_machine(machine: ComputeClass, rates: dict[str, Rate]) -> str:
    rate = rates.get(machine.code)
    if rate is None:
        return machine.name
    dollars = rate.nano_per_unit * machine.devices * 3600 / 1e9
    return f"{machine.name} · ${dollars:.2f} an hour, by the second"
