"""The playground's form: a text, a table's features or a picture, as the deployed model reads."""

import base64
from typing import Any, cast

from django import forms

from inference.models import Deployment
from inference.playground import MOST_CHARACTERS

MOST_PICTURE_BYTES = 5 * 1024**2
UNKNOWN = ("", "unknown")


class TextForm(forms.Form):
    text = forms.CharField(
        max_length=MOST_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "Paste a text"}),
    )

    @property
    def row(self) -> str:
        text: str = self.cleaned_data["text"]
        return text.replace("\0", "")


class PictureForm(forms.Form):
    picture = forms.FileField(help_text="PNG, JPEG or WebP.")

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if (picture.size or 0) > MOST_PICTURE_BYTES:
            raise forms.ValidationError("Pictures may have at most 5 MiB here.")
        return picture

    @property
    def row(self) -> str:
        return base64.b64encode(self.cleaned_data["picture"].read()).decode()


class FeaturesForm(forms.Form):
    """One field for each feature. Left empty, it is a missing value to the model."""

    def __init__(self, features: list[dict[str, Any]], data: Any = None) -> None:
        super().__init__(data)
        # By position: a feature may be called anything, a field of a form may not.
        self._names = {f"feature_{place}": one["name"] for place, one in enumerate(features)}
        for field, feature in zip(self._names, features, strict=True):
            self.fields[field] = _field_for(feature)

    @property
    def row(self) -> dict[str, Any]:
        given = {name: self.cleaned_data[field] for field, name in self._names.items()}
        return {name: _plain(value) for name, value in given.items() if value not in (None, "")}


AskForm = TextForm | PictureForm | FeaturesForm


def ask_form(deployment: Deployment, data: Any = None, files: Any = None) -> AskForm:
    inputs = (deployment.model.manifest or {}).get("inputs") or {}
    if inputs.get("kind") == "features":
        return FeaturesForm(inputs.get("features") or [], data)
    if inputs.get("kind") == "image":
        return PictureForm(data, files)
    return TextForm(data)


def example_row(deployment: Deployment, text: str) -> str | dict[str, Any]:
    """What snippets ask: the text, a typical row of the table, or the start of a picture."""
    inputs = (deployment.model.manifest or {}).get("inputs") or {}
    if inputs.get("kind") == "image":
        return "<the picture as base64>"
    if inputs.get("kind") != "features":
        return text
    return {one["name"]: _example(one) for one in (inputs.get("features") or [])}


def _field_for(feature: dict[str, Any]) -> forms.Field:
    facts: dict[str, Any] = {"label": feature["name"], "required": False}
    kind = feature["kind"]
    if kind == "category":
        choices = [UNKNOWN, *((one, one) for one in feature["categories"] if one)]
        return forms.ChoiceField(choices=choices, **facts)
    if kind == "boolean":
        return forms.ChoiceField(choices=[UNKNOWN, ("1", "yes"), ("0", "no")], **facts)
    if kind == "date":
        return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), **facts)
    low, high = feature.get("low"), feature.get("high")
    if low is not None and high is not None:
        facts["help_text"] = f"{low:g} to {high:g} in training"
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **facts)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _example(feature: dict[str, Any]) -> Any:
    if feature["kind"] == "category":
        return next((one for one in feature["categories"] if one), "")
    if feature["kind"] == "boolean":
        return True
    if feature["kind"] == "date":
        return "2026-01-31"
    return round(cast(float, feature.get("middle", 0.0)), 4)
