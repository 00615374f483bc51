"""The part of the launch form that asks for a search for better hyperparameters."""

from typing import Any

from django import forms

from engine.spec import SearchSpec, hyperparameters_class
from training.jobs.recipes import SearchOptions
from web.language.sentences import translated_lazy
from web.templatetags.ui import MICRO_PER_DOLLAR

FIELDS = SearchSpec.model_fields
BUDGET_HELP = "Most the trials and the final training may cost, at the machine's price."


class SearchForm(forms.Form):
    """All fields empty: no search."""

    trials = forms.IntegerField(
        label=FIELDS["trials"].title,
        help_text=f"{FIELDS['trials'].description} Empty: no search.",
        min_value=2,
        max_value=200,
        required=False,
    )
    minutes = forms.FloatField(
        label="Minutes",
        help_text="For all trials and the final training; no trial starts that would not fit.",
        min_value=0.2,
        max_value=30 * 1440,
        required=False,
    )
    dollars = forms.FloatField(
        label="Dollars", help_text=BUDGET_HELP, min_value=0.0001, max_value=100_000, required=False
    )
    parameters = forms.MultipleChoiceField(
        label=FIELDS["parameters"].title,
        help_text="None chosen: all of them.",
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    def __init__(self, task: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hyperparameters = hyperparameters_class(task)
        field = self.fields["parameters"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [
            (name, translated_lazy(hyperparameters.model_fields[name].title))
            for name in hyperparameters.search_space
        ]

    def to_search_options(self) -> SearchOptions | None:
        """Of a valid form."""
        cleaned = self.cleaned_data
        if not cleaned["trials"]:
            return None
        options: SearchOptions = {"trials": cleaned["trials"], "parameters": cleaned["parameters"]}
        if cleaned["minutes"]:
            options["seconds"] = cleaned["minutes"] * 60
        if cleaned["dollars"]:
            options["budget_micros"] = int(cleaned["dollars"] * MICRO_PER_DOLLAR)
        return options

    def clean(self) -> dict[str, object]:
        cleaned = self.cleaned_data
        has_bounds = cleaned.get("minutes") or cleaned.get("dollars") or cleaned.get("parameters")
        if has_bounds and not cleaned.get("trials") and "trials" not in self.errors:
            self.add_error("trials", "A search needs a number of trials")
        return cleaned


def search_form_data(search: SearchOptions) -> dict[str, list[str]]:
    """An earlier job's search, as the form's fields."""
    fields = {"parameters": list(search.get("parameters", []))}
    if "trials" in search:
        fields["trials"] = [str(search["trials"])]
    if seconds := search.get("seconds"):
        fields["minutes"] = [f"{seconds / 60:.4g}"]
    return fields
