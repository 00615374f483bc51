"""Form fields generated from the engine's specs, with its titles, bounds and descriptions."""

from typing import Any, Literal, TypedDict, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from django import forms
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from engine.spec import LoopHyperparameters, hyperparameters_class
from engine.spec.problems import problem_sentence
from training.jobs.recipes import HyperparameterValues
from training.queries.option_words import option_words
from web.language.sentences import translated_lazy


class FieldFacts(TypedDict):
    """What every kind of form field is told."""

    label: str | None
    help_text: str
    initial: object
    required: bool


class HyperparameterForm(forms.Form):
    """One field for each of the task's hyperparameters; an empty one keeps the default."""

    def __init__(self, task: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._spec_class = hyperparameters_class(task)
        shared = LoopHyperparameters.model_fields
        # What only this task has comes first: it is what people look for.
        for name, info in sorted(
            self._spec_class.model_fields.items(), key=lambda item: item[0] in shared
        ):
            self.fields[name] = build_form_field(info)

    def clean(self) -> HyperparameterValues:
        chosen = {
            name: value for name, value in self.cleaned_data.items() if value not in ("", None)
        }
        try:
            self._spec_class.model_validate(chosen)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                self.add_error(name, problem_sentence(problem))
        return chosen


def build_form_field(info: FieldInfo) -> forms.Field:
    """The field for one field of a spec; left empty it keeps the spec's default."""
    facts = FieldFacts(
        label=info.title, help_text=info.description or "", initial=info.default, required=False
    )
    if get_origin(info.annotation) is Literal:
        return forms.ChoiceField(
            choices=[
                (value, translated_lazy(option_words(value))) for value in get_args(info.annotation)
            ],
            **facts,
        )
    if info.annotation is bool:
        # A checkbox left empty sends nothing, which would read as "keep the default".
        return forms.TypedChoiceField(
            choices=[("True", translated_lazy("yes")), ("False", translated_lazy("no"))],
            coerce=lambda text: text == "True",
            empty_value="",
            **facts,
        )
    if info.annotation is str:
        longest = [one.max_length for one in info.metadata if isinstance(one, MaxLen)]
        return forms.CharField(max_length=(longest or [200])[0], **facts)
    bounds = {"min_value": _numeric_bound(info, Ge, Gt), "max_value": _numeric_bound(info, Le, Lt)}
    if info.annotation is int:
        return forms.IntegerField(**bounds, **facts)
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **bounds, **facts)


def _numeric_bound(info: FieldInfo, *kinds: type[Ge | Gt | Le | Lt]) -> Any:
    """The number in the first of these constraints; pydantic refuses values at a strict bound."""
    for kind in kinds:
        for constraint in info.metadata:
            if isinstance(constraint, kind):
                return getattr(constraint, kind.__name__.lower())
    return None
