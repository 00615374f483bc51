"""The recipe of a job: the fields of an engine spec that its row keeps, checked at launch.

Whatever the engine would refuse is refused here, as CannotLaunch naming the field, so that nothing
invalid is ever queued.
"""

from pathlib import Path

from pydantic import ValidationError
from typing_extensions import TypedDict

from billing.models import Rate
from billing.money import NANO_PER_MICRO
from engine.spec import (
    SPEC_CLASSES,
    ExportSpec,
    SearchSpec,
    TrainingSpec,
    error_field,
    parse_spec,
)
from engine.spec.problems import problem_sentence
from training.errors import CannotLaunch
from training.models import ComputeClass

Recipe = dict[str, object]  # Fields of engine.spec by name, as stored in a job's row.
HyperparameterValues = dict[str, object]  # Fields of the task's hyperparameters class by name.
MIN_SEARCH_SECONDS = 10


class SearchOptions(TypedDict, total=False):
    """A search as somebody asks for it: engine.spec.SearchSpec with a budget of money as well."""

    trials: int
    seconds: float | None
    budget_micros: int | None
    parameters: list[str]


def validate_recipe(recipe: Recipe) -> TrainingSpec:
    """The spec of a recipe, without real paths."""
    nowhere = {"data": Path("data.parquet"), "output": Path("out"), "work": Path("work")}
    try:
        return parse_spec(recipe | nowhere)
    except ValidationError as error:
        roles = SPEC_CLASSES[str(recipe["task"])].roles
        last_role = [role for role in roles if not role.is_report_only][-1]
        raise validation_refusal(error, default_field=last_role.field) from None


def validate_search(options: SearchOptions, compute_class: ComputeClass) -> Recipe:
    """The spec's `search`, with money made into seconds at the machine's rate."""
    fields = {name: value for name, value in options.items() if value is not None}
    fields.pop("budget_micros", None)
    budget_micros = options.get("budget_micros")
    if budget_micros is not None:
        rate = Rate.objects.current(compute_class.code)
        nano_per_second = rate.nano_per_unit * compute_class.devices
        if nano_per_second:
            affordable = budget_micros * NANO_PER_MICRO / nano_per_second
            seconds = options.get("seconds")
            fields["seconds"] = affordable if seconds is None else min(affordable, seconds)
            if affordable < MIN_SEARCH_SECONDS:
                raise CannotLaunch(
                    f"search.budget_micros: pays for {affordable:.1f} seconds of this machine; a "
                    f"search needs {MIN_SEARCH_SECONDS} at least.",
                    param="search",
                )
    try:
        return SearchSpec.model_validate(fields).model_dump(exclude_none=True)
    except ValidationError as error:
        raise validation_refusal(error, prefix="search") from None


def validate_export(export_format: str, options: dict[str, object]) -> ExportSpec:
    try:
        return ExportSpec.model_validate(options | {"format": export_format})
    except ValidationError as error:
        raise validation_refusal(error, default_field="keep") from None


def validation_refusal(
    error: ValidationError, *, prefix: str = "", default_field: str = ""
) -> CannotLaunch:
    """The first problem that pydantic found, as a refusal. `default_field` is named where the
    problem lies in no single field; `prefix` is the one parameter that holds all of them."""
    problem = error.errors()[0]
    field = ".".join(filter(None, [prefix, error_field(problem["loc"]) or default_field]))
    sentence = problem_sentence(problem)
    return CannotLaunch(f"{field}: {sentence}", param=prefix or field)
