"""The part of the launch form that says how rows are divided into train, validation and test."""

from typing import Any

from django import forms

from engine.spec import SPEC_CLASSES, SplitSpec
from projects.models import DatasetVersion
from training.forms.hyperparameters import build_form_field
from training.jobs.launch import LaunchRequest
from web.language.sentences import lazy_choices

METHODS = {
    "stratified": "Drawn, each label in proportion",
    "random": "Drawn at random",
    "group": "By group: rows of one group stay together",
    "time": "By time: the newest rows are the test",
    "column": "As a column says",
}


class SplitForm(forms.Form):
    """One field for each of SplitSpec. Not sent at all, as by programs: what was suggested."""

    def __init__(self, version: DatasetVersion, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, info in SplitSpec.model_fields.items():
            if name not in ("method", "column"):
                self.fields[name] = build_form_field(info)
                continue
            choices = lazy_choices(METHODS.items())
            if name == "column":
                names = [column["name"] for column in version.columns if column["type"] != "image"]
                choices = [*lazy_choices([("", "None")]), *((one, one) for one in names)]
            self.fields[name] = forms.ChoiceField(
                choices=choices,
                label=info.title,
                help_text=info.description or "",
                required=False,
            )

    def clean(self) -> dict[str, object]:
        cleaned = self.cleaned_data
        method, column = cleaned.get("method"), cleaned.get("column")
        needs_column = method in ("group", "time", "column")
        if needs_column and not column and "column" not in self.errors:
            self.add_error("column", "Choose the column to split by")
        if column and method and not needs_column:
            self.add_error("column", "Only a split by group, by time or by a column reads one")
        return cleaned


def split_form_data(task: str, request: LaunchRequest) -> dict[str, str]:
    """A request's split, or the suggested split column, as the form's fields."""
    own = SPEC_CLASSES[task].model_fields["split"].default
    assert isinstance(own, SplitSpec)
    values = own.model_dump()
    if column := request.columns.get("split_column"):
        # A link names a role's columns as a list, though this role has one.
        values |= {"method": "column", "column": column if isinstance(column, str) else column[0]}
    values |= request.split
    return {name: str(value) for name, value in values.items() if value is not None}
