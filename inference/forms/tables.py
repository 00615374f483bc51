"""The form that has a whole table answered: a new file, or a dataset that is there."""

from typing import Any

from django import forms

from inference.models import Deployment
from projects.models import Dataset
from web.language.sentences import translated_lazy

MOST_DATASETS = 200


class TableForm(forms.Form):
    """Exactly one of the two."""

    file = forms.FileField(
        required=False,
        label="A new file",
        help_text="CSV, Excel, JSON lines or Parquet. It becomes a dataset of this project.",
    )
    dataset = forms.ModelChoiceField(
        Dataset.objects.none(),
        required=False,
        label="Or a dataset that is there",
        empty_label=translated_lazy("Choose a dataset"),
    )

    def __init__(self, deployment: Deployment, data: Any = None, files: Any = None) -> None:
        super().__init__(data, files, auto_id="table_%s")
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)
        there = Dataset.objects.filter(project=deployment.project_id, archived_at=None)
        field.queryset = there.order_by("-created_at")[:MOST_DATASETS] if data is None else there

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and bool(cleaned.get("file")) == bool(cleaned.get("dataset")):
            raise forms.ValidationError("Choose a file or a dataset.")
        return cleaned
