"""The forms that ask a question about a finished model."""

import base64

from django import forms

from engine.spec import SPEC_CLASSES
from engine.tasks.image.data.decoding import InvalidImage
from projects.queries.thumbnails import encode_thumbnail
from training.models import TrainedModel
from web.language.sentences import translated_lazy

GROUP_FIELDS = ("target_column", "target_columns", "feature_columns")  # May divide rows.
MAX_CHARACTERS = 10_000
MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_IMAGE_SIDE = 320  # More than the models look at, and a few kilobytes.


class GroupsForm(forms.Form):
    """A column whose groups to compare, and the answer that matters."""

    column = forms.ChoiceField(label="Groups of")
    label = forms.ChoiceField(label="Answer that matters", required=False)

    def __init__(self, model: TrainedModel, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        read = _input_columns(model)
        columns = [
            (column["name"], column["name"])
            for column in model.dataset_version.columns
            if column["type"] != "image" and column["name"] not in read
        ]
        labels = [(label, label) for label in model.labels]
        self.fields["column"].choices = columns  # type: ignore[attr-defined]
        self.fields["label"].choices = [("", translated_lazy("the usual")), *labels]  # type: ignore[attr-defined]


def _input_columns(model: TrainedModel) -> set[str]:
    """Texts and chats that the model reads: each row is a group of its own there."""
    read: set[str] = set()
    recipe = model.job.recipe if hasattr(model, "job") else {}  # Its job may have been deleted.
    for role in SPEC_CLASSES[model.task].roles:
        chosen = recipe.get(role.field) or []
        is_group = role.is_report_only or role.field in GROUP_FIELDS
        if not is_group:
            read.update([chosen] if isinstance(chosen, str) else chosen)
    return read


class TextForm(forms.Form):
    """A text whose answer is to be explained."""

    input = forms.CharField(
        label="Text", max_length=MAX_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_input(self) -> str:
        text: str = self.cleaned_data["input"]
        return text.replace("\0", "").strip()


class RowForm(forms.Form):
    """A row of the model's data: counted from 1 as on every page, cleaned to count from 0."""

    row = forms.IntegerField(label="Row of the data", min_value=1, max_value=2**31, initial=1)

    def clean_row(self) -> int:
        number: int = self.cleaned_data["row"]
        return number - 1


class ImageForm(forms.Form):
    """A picture, or the number of a row that has one. Only a small copy is kept."""

    picture = forms.FileField(label="Picture", required=False)
    row = forms.IntegerField(
        label="or row of the data", min_value=1, max_value=2**31, required=False
    )

    def clean_row(self) -> int | None:
        number: int | None = self.cleaned_data["row"]
        return None if number is None else number - 1

    def clean_picture(self) -> str:
        upload = self.cleaned_data["picture"]
        if upload is None:
            return ""
        if upload.size > MAX_IMAGE_BYTES:
            raise forms.ValidationError("The picture is larger than 20 MB.")
        try:
            return base64.b64encode(encode_thumbnail(upload.read(), MAX_IMAGE_SIDE)).decode()
        except InvalidImage as problem:
            raise forms.ValidationError(f"This cannot be looked at: {problem}.") from None

    def clean(self) -> dict[str, object]:
        cleaned = self.cleaned_data
        if not self.errors and not cleaned.get("picture") and cleaned.get("row") is None:
            raise forms.ValidationError("Choose a picture, or give the number of a row.")
        return cleaned


EXPLAIN_FORMS: dict[str, type[forms.Form]] = {
    "text": TextForm,
    "features": RowForm,
    "image": ImageForm,
}
