"""Forms of assistants."""

from functools import partial
from typing import Any

from django import forms
from django.db.models import QuerySet

from accounts.models import Team
from assistants.forms.percent import PercentField
from assistants.models import Answer, Assistant, TestCase
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from web.language.sentences import lazy_choices, translated_lazy

_moment_input = partial(
    forms.DateTimeInput, format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}
)


class AssistantForm(forms.Form):
    """A new assistant and its promise."""

    name = forms.SlugField(
        max_length=80,
        help_text="Letters, digits, hyphens and underscores. Programs ask it by this name.",
    )
    project = forms.ModelChoiceField(
        Project.objects.none(),
        required=False,
        empty_label=translated_lazy("A new project of its name"),
        help_text="Where its data and jobs are kept.",
    )
    promise = PercentField(
        least=80,
        most=99,
        initial=0.95,
        help_text="Of 100 answers that it gives alone, how many must be right: 80 to 99.",
    )
    out_of_scope_share = PercentField(
        least=1,
        most=90,
        initial=0.15,
        label="Questions nobody could answer",
        help_text="How many of 100. The audit measures it once the assistant is live.",
    )
    languages = forms.MultipleChoiceField(
        choices=lazy_choices([("en", "English"), ("zh", "Chinese")]),
        initial=["en"],
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, team: Team, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        projects = Project.objects.filter(team=team, archived_at=None)
        field.queryset = projects
        if len(projects) == 1:
            field.initial = projects[0]


COLUMNS = ("question_column", "answer_key_column", "answer_column")
COLUMNS_OF = 20  # Dataset versions.


class SourceForm(forms.Form):
    """A dataset whose rows become phrasings."""

    dataset = forms.ModelChoiceField(
        Dataset.objects.none(), empty_label=translated_lazy("Choose a dataset")
    )
    question_column = forms.CharField(max_length=255, initial="question")
    answer_key_column = forms.CharField(
        max_length=255, initial="topic", help_text="Names the answer; equal values, one answer."
    )
    answer_column = forms.CharField(
        max_length=255,
        required=False,
        help_text="The text that is shown. Without it the key is the text.",
    )
    approved = forms.BooleanField(required=False, initial=True, label="I approve these answers")

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = ready_datasets(assistant)
        for name in COLUMNS:
            self.fields[name].widget.attrs["list"] = "columns"

    @property
    def known_columns(self) -> list[str]:
        """Of the newest versions of these datasets, to choose from."""
        rows = DatasetVersion.objects.filter(
            dataset__in=self.fields["dataset"].queryset,  # type: ignore[attr-defined]
            status=ImportStatus.READY,
        )
        newest = rows.order_by("-created_at").values_list("columns", flat=True)[:COLUMNS_OF]
        return sorted({column["name"] for columns in newest for column in columns or []})


class DocumentForm(forms.Form):
    """A document, or a dataset whose rows are passages."""

    document = forms.ModelChoiceField(
        Dataset.objects.none(), empty_label=translated_lazy("Choose a dataset")
    )
    text_column = forms.CharField(
        max_length=255, initial="text", help_text="Documents have their passages in “text”."
    )

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["document"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = ready_datasets(assistant)


def ready_datasets(assistant: Assistant) -> QuerySet[Dataset]:
    """The team's datasets that have been imported."""
    ready = Dataset.objects.filter(
        project__team=assistant.team_id, versions__status=ImportStatus.READY, archived_at=None
    )
    return ready.distinct()


class AnswerForm(forms.Form):
    """An answer and ways to ask for it, one a line."""

    key = forms.CharField(max_length=200, help_text="A short name, for example “return-an-order”.")
    text = forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 4}))
    language = forms.ChoiceField(
        required=False, help_text="Of the text, and of those who are shown it."
    )
    link = forms.URLField(max_length=500, required=False, assume_scheme="https")
    questions = forms.CharField(
        required=False,
        max_length=20_000,
        help_text="One way to ask on each line. Three or more make the answer findable.",
        widget=forms.Textarea(attrs={"rows": 6}),
    )
    valid_from = forms.DateTimeField(
        required=False,
        help_text="UTC. It is said to nobody before.",
        widget=_moment_input(),
    )
    valid_until = forms.DateTimeField(
        required=False,
        help_text="UTC. It is said to nobody from then on.",
        widget=_moment_input(),
    )
    gap = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)

    def __init__(
        self,
        assistant: Assistant,
        data: Any = None,
        *,
        answer: Answer | None = None,
        initial: dict[str, str] | None = None,
    ) -> None:
        shown = ("key", "text", "language", "link", "valid_from", "valid_until")
        known = {name: getattr(answer, name) for name in shown} if answer else {}
        super().__init__(data, initial={**known, **(initial or {})})
        language = self.fields["language"]
        assert isinstance(language, forms.ChoiceField)
        codes = [*assistant.languages, *([answer.language] if answer else [])]
        _offer_languages(language, codes)
        self._default_language = codes[0] if codes else "en"
        if answer is not None:
            self.fields["key"].disabled = self.fields["language"].disabled = True
            self.fields["questions"].label = "More ways to ask"

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        begins, ends = fields.get("valid_from"), fields.get("valid_until")
        if begins and ends and ends <= begins:
            self.add_error("valid_until", "It must end after it begins.")
        return fields

    def clean_language(self) -> str:
        return self.cleaned_data["language"] or self._default_language

    def changes(self) -> dict[str, Any]:
        """What `answers.edit` takes."""
        names = ("text", "link", "valid_from", "valid_until")
        return {name: self.cleaned_data[name] for name in names}


class TestCaseForm(forms.ModelForm[TestCase]):
    """A question whose outcome is known."""

    __test__ = False
    expects = forms.ChoiceField(choices=lazy_choices(TestCase.Expects.choices))
    language = forms.ChoiceField(help_text="The one that the question is asked in.")

    class Meta:
        model = TestCase
        fields = ("question", "language", "expects", "value", "locked")
        help_texts = {
            "value": "The key of the answer, or the words it contains.",
            "locked": "A version that breaks it does not go live.",
        }

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["language"]
        assert isinstance(field, forms.ChoiceField)
        _offer_languages(field, assistant.languages)
        self._default_language = assistant.default_language

    def clean_language(self) -> str:
        return self.cleaned_data["language"] or self._default_language

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        names = fields.get("expects") in (TestCase.Expects.ANSWER, TestCase.Expects.CONTAINS)
        if names != bool(fields.get("value")):
            self.add_error("value", "Name an answer or words exactly where one is expected.")
        return fields


def _offer_languages(field: forms.ChoiceField, codes: list[str]) -> None:
    """Hidden where there is one only; nothing chosen is the first."""
    names = {"en": "English", "zh": "Chinese"}
    field.choices = lazy_choices([(code, names.get(code, code)) for code in dict.fromkeys(codes)])
    field.required = False
    if len(field.choices) == 1:
        field.widget = forms.HiddenInput()


def lines_of(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line.strip() for line in text.splitlines() if line.strip()]
