"""Forms of the data pages. What a browser sends is checked here and nowhere else."""

from typing import Any

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat

from projects.reading.encodings import CHOICES as ENCODINGS
from projects.reading.sniffing import ACCEPTED

AUTOMATIC = ("", "Detect automatically")
ACCEPTED_SUFFIXES = ".csv,.tsv,.txt,.jsonl,.ndjson,.json,.parquet,.xlsx,.zip"


class ProjectForm(forms.Form):
    name = forms.CharField(
        max_length=120, help_text="A product area, such as “Support bot”. You can have many."
    )


class UploadForm(forms.Form):
    file = forms.FileField(
        allow_empty_file=True,
        max_length=1000,
        widget=forms.ClearableFileInput(attrs={"accept": ACCEPTED_SUFFIXES}),
    )
    name = forms.CharField(
        max_length=255,
        required=False,
        label="Dataset name",
        help_text="Left empty, the file's name is taken.",
    )

    def __init__(self, *args: Any, is_version: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = filesizeformat(settings.MAX_UPLOAD_BYTES)
        self.fields["file"].help_text = f"{ACCEPTED}, up to {limit}."
        if is_version:
            del self.fields["name"]


class DialectForm(forms.Form):
    """The customer's own reading of a file. What is left on automatic is detected again."""

    encoding = forms.ChoiceField(choices=[AUTOMATIC, *ENCODINGS.items()], required=False)
    delimiter = forms.ChoiceField(
        label="Separator",
        choices=[
            AUTOMATIC,
            (",", "Comma ,"),
            (";", "Semicolon ;"),
            ("tab", "Tab"),
            ("|", "Pipe |"),
        ],
        required=False,
    )
    quote = forms.ChoiceField(
        label="Quotation mark",
        choices=[AUTOMATIC, ('"', 'Double "'), ("'", "Single '"), ("none", "None")],
        required=False,
    )
    escape = forms.ChoiceField(
        label="A quotation mark inside a cell is written",
        choices=[AUTOMATIC, ("doubled", 'twice ("")'), ("backslash", 'with a backslash (\\")')],
        required=False,
    )
    skip_lines = forms.IntegerField(
        label="Lines above the header", min_value=0, max_value=1000, required=False
    )
    header_rows = forms.IntegerField(
        label="Header lines", min_value=0, max_value=10, required=False,
        help_text="0 when the first line is data already.",
    )  # fmt: skip
    short_rows = forms.ChoiceField(
        label="Rows with too few values",
        choices=[AUTOMATIC, ("reject", "Reject them"), ("fill", "Fill up with missing values")],
        required=False,
    )
    sheet = forms.CharField(label="Sheet", max_length=100, required=False)

    def overrides(self) -> dict[str, Any]:
        """What was chosen by hand, as the importer takes it."""
        chosen = {
            name: value for name, value in self.cleaned_data.items() if value not in ("", None)
        }
        spelled = {"tab": "\t", "none": ""}
        for name in ("delimiter", "quote"):
            if chosen.get(name) in spelled:
                chosen[name] = spelled[chosen[name]]
        return chosen

    @staticmethod
    def spelled(overrides: dict[str, Any]) -> dict[str, Any]:
        """The reverse of `overrides`: initial values of the form."""
        shown = dict(overrides)
        if shown.get("delimiter") == "\t":
            shown["delimiter"] = "tab"
        if shown.get("quote") == "":
            shown["quote"] = "none"
        return shown
