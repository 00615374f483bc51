"""What somebody asks of a search, by form or API, made into the part of the recipe it becomes."""

from typing import Any

from django import forms
from pydantic import ValidationError
from rest_framework import serializers

from billing.models import Rate
from engine.spec import SearchSpec, hyperparameters_of
from training.errors import CannotLaunch
from training.models import ComputeClass

NANO_PER_MICRO, MICRO_PER_DOLLAR = 1000, 1_000_000
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
        dials = hyperparameters_of(task)
        field = self.fields["parameters"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(name, dials.model_fields[name].title) for name in dials.search_space]

    def wanted(self) -> dict[str, Any] | None:
        """Of a valid form."""
        given = self.cleaned_data
        if not given["trials"]:
            return None
        search: dict[str, Any] = {"trials": given["trials"], "parameters": given["parameters"]}
        if given["minutes"]:
            search["seconds"] = given["minutes"] * 60
        if given["dollars"]:
            search["budget_micros"] = int(given["dollars"] * MICRO_PER_DOLLAR)
        return search

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        has_budget = given.get("minutes") or given.get("dollars") or given.get("parameters")
        if has_budget and not given.get("trials") and "trials" not in self.errors:
            self.add_error("trials", "A search needs a number of trials")
        return given


class SearchRequest(serializers.Serializer[dict[str, Any]]):
    """A search for better hyperparameters within the job, under a time or money budget."""

    trials = serializers.IntegerField(required=False, help_text=FIELDS["trials"].description or "")
    seconds = serializers.FloatField(
        required=False, allow_null=True, help_text=FIELDS["seconds"].description or ""
    )
    budget_micros = serializers.IntegerField(
        required=False, allow_null=True, help_text=f"Micro-USD. {BUDGET_HELP}"
    )
    parameters = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text=FIELDS["parameters"].description or "",
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        unknown = [name for name in data if name not in self.fields] if data else []
        if isinstance(data, dict) and unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError({str(unknown[0]): f"Unknown field. Known: {known}."})
        found: dict[str, Any] = super().to_internal_value(data)
        return found


def recipe_part(wanted: dict[str, Any], compute_class: ComputeClass) -> dict[str, Any]:
    """The spec's `search`, money made into seconds at the class's rate. Raises CannotLaunch."""
    given = {name: value for name, value in wanted.items() if value is not None}
    budget = given.pop("budget_micros", None)
    if budget is not None:
        rate = Rate.objects.current(compute_class.code)
        nano = rate.nano_per_unit * compute_class.devices
        affordable = budget * NANO_PER_MICRO / nano if nano else float("inf")
        if nano:
            given["seconds"] = min(affordable, given.get("seconds", affordable))
        _require_enough(affordable)
    try:
        return SearchSpec.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(["search", *map(str, problem["loc"])])
        raise CannotLaunch(f"{where}: {problem['msg']}.", param="search") from None


def _require_enough(affordable_seconds: float) -> None:
    if affordable_seconds < 10:
        raise CannotLaunch(
            f"search.budget_micros: pays for {affordable_seconds:.1f} seconds of this machine; a "
            "search needs 10 at least.",
            param="search",
        )
