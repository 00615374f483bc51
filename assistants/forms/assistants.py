"""Forms of assistants."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from accounts.models import Team
from assistants.models import Answer, Assistant, TestCase
from projects.models import Dataset, ImportStatus, Project
from web.language.sentences import lazy_choices


class AssistantForm(forms.Form):
    """A new assistant and its promise."""

    name = forms.SlugField(
        max_length=80,
        help_text="Letters, digits, hyphens and underscores. Programs ask it by this name.",
    )
    project = forms.ModelChoiceField(Project.objects.none())
    promise = forms.FloatField(
        min_value=0.8,
        max_value=0.99,
        initial=0.95,
        help_text="Of the answers it gives alone, the share that must be right: 0.8 to 0.99.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    out_of_scope_share = forms.FloatField(
        min_value=0.01,
        max_value=0.9,
        initial=0.15,
        label="Questions nobody could answer",
        help_text="Their share of all questions. The audit measures it once it is live.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
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


class SourceForm(forms.Form):
    """A dataset whose rows become phrasings."""

    dataset = forms.ModelChoiceField(Dataset.objects.none())
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


class DocumentForm(forms.Form):
    """A document, or a dataset whose rows are passages."""

    document = forms.ModelChoiceField(Dataset.objects.none())
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
    link = forms.URLField(max_length=500, required=False, assume_scheme="https")
    questions = forms.CharField(
        required=False,
        max_length=20_000,
        help_text="One way to ask on each line. Three or more make the answer findable.",
        widget=forms.Textarea(attrs={"rows": 6}),
    )


class TestCaseForm(forms.ModelForm[TestCase]):
    """A question whose outcome is known."""

    __test__ = False

    class Meta:
        model = TestCase
        fields = ("question", "expects", "value", "locked")
        help_texts = {
            "value": "The key of the answer, or the words it contains.",
            "locked": "A version that breaks it does not go live.",
        }

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        names = fields.get("expects") in (TestCase.Expects.ANSWER, TestCase.Expects.CONTAINS)
        if names != bool(fields.get("value")):
            self.add_error("value", "Name an answer or words exactly where one is expected.")
        return fields


class RuleForm(forms.Form):
    """The conditions that most rules have; the API offers every one."""

    name = forms.CharField(max_length=80)
    says_any = forms.CharField(
        max_length=2000,
        required=False,
        label="When a question says any of",
        help_text="One phrase on each line.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    topic_is = forms.MultipleChoiceField(
        required=False,
        label="When it is most likely about",
        help_text="Answers by their key. The examples are tried with the newest version.",
    )
    confidence_below = forms.FloatField(
        min_value=0.01,
        max_value=1,
        required=False,
        label="When the assistant is less sure than",
        help_text="From 0 to 1.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    confidence_above = forms.FloatField(
        min_value=0,
        max_value=0.99,
        required=False,
        label="When the assistant is surer than",
        help_text="From 0 to 1.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    asked_again = forms.BooleanField(
        required=False, label="When it is asked again in the same conversation"
    )
    visitor = forms.CharField(
        max_length=2000,
        required=False,
        label="When the visitor has",
        help_text="On each line a name, an equals sign and a value. A program sends them as"
        " metadata, a site in its script tag, where they can be forged.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    do = forms.ChoiceField(
        label="Then",
        choices=lazy_choices(
            [
                ("answer", "give the answer with this key"),
                ("say", "say this text"),
                ("hand_over", "hand over to a person"),
                ("refuse", "refuse"),
                ("tag", "tag the conversation and go on"),
            ]
        ),
    )
    value = forms.CharField(max_length=2000, required=False, label="Key, text or tag")
    examples_yes = forms.CharField(
        max_length=2000,
        label="Questions it applies to",
        help_text="One on each line.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    examples_no = forms.CharField(
        max_length=2000,
        required=False,
        label="Questions it does not apply to",
        help_text="One on each line.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["topic_is"]
        assert isinstance(field, forms.MultipleChoiceField)
        current = assistant.answers.exclude(state=Answer.State.RETIRED).order_by("key")
        field.choices = [(key, key) for key in current.values_list("key", flat=True)]

    def spec(self) -> dict[str, Any]:
        """`name`, `when`, `then` and the examples, as the API takes them."""
        fields = self.cleaned_data
        when = {
            "says_any": lines_of(fields["says_any"]) or None,
            "topic_is": fields["topic_is"] or None,
            "confidence_below": fields["confidence_below"],
            "confidence_above": fields["confidence_above"],
            "asked_again": fields["asked_again"] or None,
            "visitor": dict(_pair_of(line) for line in lines_of(fields["visitor"])) or None,
        }
        then: dict[str, Any] = {"do": fields["do"]}
        if named := VALUES.get(fields["do"]):
            then[named] = fields["value"]
        return {
            "name": fields["name"],
            "when": {name: value for name, value in when.items() if value is not None},
            "then": then,
            "examples_yes": lines_of(fields["examples_yes"]),
            "examples_no": lines_of(fields["examples_no"]),
        }


def _pair_of(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


VALUES = {"answer": "key", "say": "text", "tag": "tag"}  # What each action is given.


def lines_of(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line.strip() for line in text.splitlines() if line.strip()]
