"""Forms of the data pages. What a browser sends is checked here and nowhere else."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat

from projects.models import DatasetVersion
from projects.reading.encodings.detection import ENCODING_CHOICES as ENCODINGS
from projects.reading.format_detection import ACCEPTED_FORMATS
from projects.reading.results import ReadingOptions
from web.language.sentences import lazy_choices

AUTOMATIC_CHOICE = ("", "Detect automatically")
ACCEPTED_SUFFIXES = (
    ".csv,.tsv,.txt,.jsonl,.ndjson,.json,.parquet,.xlsx,.xlsb,.xls,.ods,.zip,.arrow,.feather"
)


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
    resumable = forms.UUIDField(required=False, widget=forms.HiddenInput)  # In place of a file.
    name = forms.CharField(
        max_length=255,
        required=False,
        label="Dataset name",
        help_text="Left empty, the file's name is taken.",
    )

    def __init__(self, *args: Any, is_version: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = filesizeformat(settings.MAX_UPLOAD_BYTES)
        self.fields["file"].help_text = f"{ACCEPTED_FORMATS}, up to {limit}."
        self.fields["file"].required = not self.data.get("resumable")
        if is_version:
            del self.fields["name"]


class DialectForm(forms.Form):
    """The customer's own reading of a file. What is left on automatic is detected again."""

    encoding = forms.ChoiceField(
        choices=lazy_choices([AUTOMATIC_CHOICE, *ENCODINGS.items()]), required=False
    )
    delimiter = forms.ChoiceField(
        label="Separator",
        choices=lazy_choices(
            [
                AUTOMATIC_CHOICE,
                (",", "Comma ,"),
                (";", "Semicolon ;"),
                ("tab", "Tab"),
                ("|", "Pipe |"),
                (":", "Colon :"),
                ("#", "Hash #"),
                ("^", "Caret ^"),
                ("~", "Tilde ~"),
            ]
        ),
        required=False,
    )
    quote = forms.ChoiceField(
        label="Quotation mark",
        choices=lazy_choices(
            [AUTOMATIC_CHOICE, ('"', 'Double "'), ("'", "Single '"), ("none", "None")]
        ),
        required=False,
    )
    escape = forms.ChoiceField(
        label="A quotation mark inside a cell is written",
        choices=lazy_choices(
            [
                AUTOMATIC_CHOICE,
                ("doubled", 'twice ("")'),
                ("backslash", 'with a backslash (\\")'),
            ]
        ),
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
        choices=lazy_choices(
            [
                AUTOMATIC_CHOICE,
                ("reject", "Reject them"),
                ("fill", "Fill up with missing values"),
            ]
        ),
        required=False,
    )
    sheet = forms.CharField(label="Sheet", max_length=100, required=False)
    file = forms.CharField(
        label="File of the archive", max_length=300, required=False,
        help_text="Of a zip of several tables: one's path, or * for all with the same columns.",
    )  # fmt: skip

    def overrides(self) -> ReadingOptions:
        """What was chosen by hand, as the importer takes it."""
        chosen = {
            name: value for name, value in self.cleaned_data.items() if value not in ("", None)
        }
        spelled = {"tab": "\t", "none": ""}
        for name in ("delimiter", "quote"):
            if chosen.get(name) in spelled:
                chosen[name] = spelled[chosen[name]]
        return cast(ReadingOptions, chosen)

    def options_for(self, version: DatasetVersion) -> ReadingOptions:
        """The same for this version, with what it was told and the form cannot change."""
        kept = {key: version.overrides[key] for key in ("labels",) if key in version.overrides}
        return cast(ReadingOptions, {**self.overrides(), **kept})

    @staticmethod
    def to_initial(overrides: ReadingOptions) -> dict[str, object]:
        """The reverse of `overrides`: initial values of the form."""
        shown: dict[str, object] = {**overrides}
        if shown.get("delimiter") == "\t":
            shown["delimiter"] = "tab"
        if shown.get("quote") == "":
            shown["quote"] = "none"
        return shown
