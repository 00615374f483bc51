"""The form that asks for another form of a model."""

from typing import Any

from django import forms

from engine.spec import ExportSpec
from engine.spec.exporting import ALL_OPTIONS, FORMAT_DESCRIPTIONS, OPTIONS_BY_TASK
from training.estimates.estimate import offered_machines
from training.forms.hyperparameters import build_form_field
from training.forms.launch import machine_choices
from training.jobs.exports import ExportRequest, formats_of
from training.models import TrainedModel
from web.language.sentences import lazy_choices, translated


class ExportForm(forms.Form):
    """The form wanted and its options, generated from the engine's spec."""

    def __init__(self, model: TrainedModel, data: Any = None) -> None:
        super().__init__(data)
        fields = ExportSpec.model_fields
        self.fields["format"] = forms.ChoiceField(
            label="Form",
            help_text=" ".join(
                f"{name}: {translated(FORMAT_DESCRIPTIONS[name])}" for name in formats_of(model)
            ),
            choices=[(name, name) for name in formats_of(model)],
        )
        self.options = OPTIONS_BY_TASK.get(model.task, ALL_OPTIONS)
        for name in self.options:
            self.fields[name] = build_form_field(fields[name])
        machines = machine_choices(offered_machines())
        self.fields["compute"] = forms.ChoiceField(label="Machine", choices=lazy_choices(machines))

    def to_export_request(self) -> ExportRequest:
        """Of a valid form."""
        cleaned = self.cleaned_data
        options = {name: cleaned[name] for name in self.options if cleaned[name] is not None}
        return ExportRequest(format=cleaned["format"], options=options, compute=cleaned["compute"])
