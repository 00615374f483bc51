"""Recipes, searches and exports: what the engine would refuse is refused at launch, by name."""

import pytest

from engine.spec import ExportSpec, TextSpec
from training.errors import CannotLaunch
from training.jobs.recipes import validate_export, validate_recipe, validate_search
from training.models import ComputeClass

RECIPE = {
    "task": "text-classification",
    "base_model": "all-MiniLM-L6-v2",
    "text_columns": ["text"],
    "target_column": "label",
    "hyperparameters": {"epochs": 2},
}


def test_a_recipe_becomes_the_spec_of_its_task():
    spec = validate_recipe(RECIPE)
    assert isinstance(spec, TextSpec)
    assert spec.hyperparameters.epochs == 2


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"hyperparameters": {"epochs": -1}}, "hyperparameters.epochs"),
        ({"hyperparameters": {"epoch": 1}}, "hyperparameters.epoch"),
        ({"text_columns": ["label"]}, "target_columns"),
    ],
)
def test_the_field_at_fault_is_named(change, param):
    with pytest.raises(CannotLaunch) as refusal:
        validate_recipe(RECIPE | change)
    assert refusal.value.param == param
    assert refusal.value.sentence.startswith(f"{param}: ")
    assert "Value error" not in refusal.value.sentence
    assert not refusal.value.sentence.endswith("..")


def test_a_search_keeps_only_what_was_said():
    cpu = ComputeClass(code="cpu")
    assert validate_search({"trials": 3, "seconds": None}, cpu) == {"trials": 3, "parameters": []}


@pytest.mark.parametrize("options", [{"trials": 1}, {"trials": 3, "seconds": 0}])
def test_a_search_out_of_bounds_is_refused(options):
    with pytest.raises(CannotLaunch) as refusal:
        validate_search(options, ComputeClass(code="cpu"))
    assert refusal.value.param == "search"
    assert refusal.value.sentence.startswith("search.")


def test_an_export_is_the_engines_own_spec():
    export = validate_export("pruned", {"keep": 0.25})
    assert isinstance(export, ExportSpec)
    assert export.keep == 0.25


@pytest.mark.parametrize(
    ("options", "param"),
    [({"keep": 7}, "keep"), ({"keep": 1.0}, "keep"), ({"epochs": 0}, "epochs")],
)
def test_an_export_out_of_bounds_is_refused(options, param):
    with pytest.raises(CannotLaunch) as refusal:
        validate_export("pruned", options)
    assert refusal.value.param == param
