"""Forms of an endpoint's requests: what to list, what to keep, what was right, and a dataset."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms

from inference.models import Deployment, RequestLog
from inference.requests.listing import RequestFilter
from inference.requests.retention import MAX_DAYS, MAX_ONE_IN
from training.models import TrainedModel
from web.language.sentences import lazy_choices, translated_lazy

MAX_CORRECTION = 10_000
STATUS_WORDS = {"answered": "Answered", "refused": "Refused (4xx)", "failed": "Failed (5xx)"}
FEEDBACK_WORDS = {"right": "Right", "wrong": "Wrong", "corrected": "Corrected", "none": "None yet"}


def _choices(words: dict[str, str], nothing: str) -> Any:
    return lazy_choices([("", nothing), *words.items()])


class RequestFilterForm(forms.Form):
    """Narrows the list of requests; every field may stay empty."""

    status = forms.ChoiceField(choices=_choices(STATUS_WORDS, "Any status"), required=False)
    feedback = forms.ChoiceField(choices=_choices(FEEDBACK_WORDS, "Any feedback"), required=False)
    model = forms.ChoiceField(required=False)
    answer = forms.CharField(max_length=500, required=False, strip=False)
    text = forms.CharField(max_length=500, required=False, strip=False, label="Text contains")
    token = forms.CharField(max_length=16, required=False, label="Token begins with")
    since = forms.DateField(
        required=False, label="From (UTC)", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To (UTC)", widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, data: Any, models: list[TrainedModel]) -> None:
        super().__init__(data)
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)
        any_model = ("", translated_lazy("Any model"))
        field.choices = [any_model, *((str(one.pk), one.name) for one in models)]

    @property
    def narrowed(self) -> RequestFilter:
        """What is valid narrows; the form shows what is not."""
        chosen = {name: value for name, value in self.cleaned_data.items() if value}
        for name, moment in (("since", time.min), ("until", time.max)):  # Both days count.
            if name in chosen:
                chosen[name] = datetime.combine(chosen[name], moment, UTC)
        return RequestFilter(**chosen)

    @property
    def query(self) -> dict[str, str]:
        """The chosen values, for addresses and hidden fields."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


class DatasetForm(forms.Form):
    """A dataset of the ticked or of all listed requests."""

    name = forms.CharField(max_length=255, required=False, label="Name of the dataset")
    answers = forms.ChoiceField(
        label="Answers",
        choices=lazy_choices(
            [
                ("predicted", "The model's answers, to label the rows by hand"),
                ("corrected", "What feedback says is right, beside the model's answers"),
            ]
        ),
    )
    scope = forms.ChoiceField(
        choices=lazy_choices([("ticked", "Of the ticked ones"), ("all", "Of all that are listed")])
    )


class VerdictForm(forms.Form):
    """What a person thinks of one answer."""

    verdict = forms.ChoiceField(
        choices=lazy_choices([("right", "Right"), ("wrong", "Wrong"), ("corrected", "Corrected")])
    )
    correction = forms.CharField(max_length=MAX_CORRECTION, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("verdict") == "corrected" and not cleaned.get("correction"):
            self.add_error("correction", "Write what the answer should be.")
        return cleaned

    @property
    def feedback(self) -> dict[str, Any]:
        """The score and the correction as `record_feedback` takes them."""
        verdict = self.cleaned_data["verdict"]
        correction = self.cleaned_data["correction"] if verdict == "corrected" else ""
        return {"score": 1 if verdict == "right" else -1, "correction": correction}


class RetentionForm(forms.Form):
    """How many requests the log keeps, and for how long."""

    keep = forms.ChoiceField(
        label="Keep",
        choices=lazy_choices(
            [
                ("all", "All, up to 20 a second"),
                ("some", "One in so many"),
                ("none", "Nothing; what was kept is deleted"),
            ]
        ),
    )
    one_in = forms.IntegerField(
        label="One in", min_value=2, max_value=MAX_ONE_IN, required=False, help_text="2 to 1,000."
    )
    days = forms.IntegerField(
        label="For days",
        min_value=1,
        max_value=MAX_DAYS,
        help_text="1 to 90. What is older is deleted within an hour.",
    )
    deletes = forms.BooleanField(
        label="Delete what was kept. It cannot be brought back.", required=False
    )

    def __init__(self, deployment: Deployment, data: Any = None) -> None:
        one_in = deployment.log_one_in
        self._kept = RequestLog.objects.filter(deployment=deployment)
        keep = {0: "none", 1: "all"}.get(one_in, "some")
        initial = {
            "keep": keep,
            "one_in": one_in if one_in > 1 else 10,
            "days": deployment.log_days,
        }
        super().__init__(data, initial=initial)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("keep") == "some" and "one_in" in cleaned and not cleaned["one_in"]:
            self.add_error("one_in", "Say one in how many requests is kept.")
        is_asked = cleaned.get("keep") == "none" and not cleaned.get("deletes")
        if is_asked and self._kept.exists():
            self.add_error("deletes", "Tick this, too: to keep nothing deletes what was kept.")
        return cleaned

    @property
    def one_in_kept(self) -> int:
        some: int = self.cleaned_data["one_in"] or 0
        return {"none": 0, "all": 1, "some": some}[self.cleaned_data["keep"]]
