"""The playground's form: a text, a table's features or a picture, as the deployed model reads."""

import base64
import math
from datetime import date
from typing import Any

from django import forms
from django.utils.html import escape

from engine.artifact import Feature, Inputs
from inference.models import Deployment
from inference.playground import MAX_CHARACTERS
from training.queries.report.example_inputs import example_cells, example_text
from web.language.sentences import translated_lazy

MAX_IMAGE_BYTES = 5 * 1024**2
PICTURE = object()  # In place of an example: a picture is read from a file.
UNKNOWN_CHOICE = ("", translated_lazy("unknown"))


class TextForm(forms.Form):
    text = forms.CharField(
        max_length=MAX_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "Paste a text"}),
    )

    @property
    def row(self) -> str:
        text: str = self.cleaned_data["text"]
        return text.replace("\0", "")

    @property
    def as_one_text(self) -> str:
        return self.row


class TextColumnsForm(forms.Form):
    """One box for each column of text that the model reads; some may stay empty."""

    def __init__(self, inputs: Inputs, data: Any = None, example: str = "") -> None:
        super().__init__(data)
        self._separator = inputs.text_separator
        # By position: a column may be called anything, a field of a form may not.
        self._names = {f"t{position}": name for position, name in enumerate(inputs.columns)}
        for position, (field, name) in enumerate(self._names.items()):
            self.fields[field] = forms.CharField(
                label=escape(name),  # As in _build_field.
                required=False,
                max_length=MAX_CHARACTERS,
                strip=False,
                widget=forms.Textarea(attrs={"rows": 2}),
            )
            if position == 0:
                self.initial[field] = example

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not any(text.strip() for text in cleaned.values()):
            self.add_error(next(iter(self._names)), "Write a text into one of the boxes.")
        return cleaned

    @property
    def row(self) -> dict[str, object]:
        return {name: self.cleaned_data[field] for field, name in self._names.items()}

    @property
    def as_one_text(self) -> str:
        """As the model joins them."""
        texts = (text.strip() for text in self.cleaned_data.values())
        return self._separator.join(text for text in texts if text)


class QuestionForm(TextForm):
    """The same for a language model."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].label = "Question"
        self.fields["text"].widget.attrs = {"rows": 3, "placeholder": "Ask something"}


class ChatForm(forms.Form):
    """A chat so far, whose last message is the question."""

    messages = forms.JSONField()
    by_base = forms.BooleanField(required=False)

    def clean_messages(self) -> list[dict[str, str]]:
        messages = self.cleaned_data["messages"]
        if not isinstance(messages, list) or not all(map(_is_message, messages)):
            raise forms.ValidationError("Send messages, each with a role and a text.")
        if not messages or messages[-1]["role"] != "user":
            raise forms.ValidationError("Write a question first.")
        if sum(len(message["content"]) for message in messages) > MAX_CHARACTERS:
            raise forms.ValidationError(
                f"A chat may have {MAX_CHARACTERS:,} characters here. Begin a new one."
            )
        return messages


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and message.keys() == {"role", "content"}
        and message["role"] in ("system", "user", "assistant")
        and isinstance(message["content"], str)
    )


class PictureInput(forms.FileInput):
    """A place for a file to be chosen or dropped, with what was chosen beside it."""

    template_name = "inference/_picture_input.html"


class ImageForm(forms.Form):
    picture = forms.FileField(
        help_text="PNG, JPEG or WebP, at most 5 MiB.",
        widget=PictureInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if (picture.size or 0) > MAX_IMAGE_BYTES:
            raise forms.ValidationError("Pictures may have at most 5 MiB here.")
        return picture

    @property
    def row(self) -> str:
        return base64.b64encode(self.cleaned_data["picture"].read()).decode()


class FeaturesForm(forms.Form):
    """One field for each feature. Left empty, it is a missing value to the model.

    `example` is a row to begin with, cells by feature; a cell that does not fit is left out.
    """

    def __init__(
        self,
        features: list[Feature],
        data: Any = None,
        example: dict[str, str] | None = None,
    ) -> None:
        super().__init__(data)
        # By position: a feature may be called anything, a field of a form may not.
        self._names = {f"feature_{place}": feature.name for place, feature in enumerate(features)}
        for field, feature in zip(self._names, features, strict=True):
            self.fields[field] = _build_field(feature)
            self.initial[field] = _known_value(feature, (example or {}).get(feature.name, ""))

    @property
    def row(self) -> dict[str, object]:
        values = {name: self.cleaned_data[field] for field, name in self._names.items()}
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in values.items()
            if value not in (None, "")
        }


PlaygroundForm = TextForm | TextColumnsForm | ImageForm | FeaturesForm


def playground_form(deployment: Deployment, data: Any = None, files: Any = None) -> PlaygroundForm:
    inputs = _inputs_of(deployment)
    if inputs.kind == "features":
        return FeaturesForm(inputs.features, data, example_cells(deployment.model))
    if inputs.kind == "image":
        return ImageForm(data, files)
    if inputs.kind == "text" and len(inputs.columns) > 1:
        return TextColumnsForm(inputs, data, example_text(deployment.model))
    form = QuestionForm if inputs.kind == "chat" else TextForm
    return form(data, initial={"text": example_text(deployment.model)})


def example_row(deployment: Deployment, text: str) -> object:
    """The row in snippets: the text or texts, the features of a test row, or PICTURE."""
    inputs = _inputs_of(deployment)
    if inputs.kind == "image":
        return PICTURE
    if inputs.kind == "text" and len(inputs.columns) > 1:
        return dict.fromkeys(inputs.columns, "") | {inputs.columns[0]: text}
    if inputs.kind != "features":
        return text
    cells = example_cells(deployment.model)
    return {
        feature.name: _example_value(feature, cells.get(feature.name, ""))
        for feature in inputs.features
    }


def _inputs_of(deployment: Deployment) -> Inputs:
    """What the model reads, by its manifest; a text where an old model has none."""
    manifest = deployment.model.manifest or {}
    return Inputs.model_validate({"kind": "text", **(manifest.get("inputs") or {})})


def _build_field(feature: Feature) -> forms.Field:
    # Somebody's own word: as markup it is shown as it is, where a text of ours is translated.
    options: dict[str, Any] = {"label": escape(feature.name), "required": False}
    kind = feature.kind
    if kind == "category":
        choices = [UNKNOWN_CHOICE, *((name, name) for name in feature.categories if name)]
        return forms.ChoiceField(choices=choices, **options)
    if kind == "boolean":
        return forms.ChoiceField(
            choices=[UNKNOWN_CHOICE, ("1", translated_lazy("yes")), ("0", translated_lazy("no"))],
            **options,
        )
    if kind == "date":
        return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), **options)
    low, high = feature.low, feature.high
    if low is not None and high is not None:
        options["help_text"] = f"{low:g} to {high:g} in training"
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **options)


def _known_value(feature: Feature, cell: str) -> Any:
    """What the cell of a test row says of this feature, as its field shows it; else None."""
    kind = feature.kind
    if kind == "category":
        return cell if cell in feature.categories else None
    if kind == "boolean":
        return {"true": "1", "1": "1", "false": "0", "0": "0"}.get(cell.lower())
    try:
        if kind == "date":
            return date.fromisoformat(cell[:10])
        number = float(cell)
        if not math.isfinite(number):
            return None
        return int(number) if number.is_integer() else number
    except ValueError:
        return None


def _example_value(feature: Feature, cell: str) -> Any:
    """The cell of a test row as the API takes it; something typical where it says nothing."""
    known = _known_value(feature, cell)
    if known is not None:
        as_sent = {"1": True, "0": False} if feature.kind == "boolean" else {}
        return known.isoformat() if isinstance(known, date) else as_sent.get(known, known)
    if feature.kind == "category":
        return next((name for name in feature.categories if name), "")
    if feature.kind == "boolean":
        return True
    if feature.kind == "date":
        return "2026-01-31"
    return round(feature.middle, 4)
