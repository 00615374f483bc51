"""The form that asks a model of tables begins with a row the model was tested on."""

from datetime import date

import pytest
from django.template.loader import render_to_string
from django.utils.translation import override

from engine.artifact import Feature, Inputs
from inference.forms.playground import FeaturesForm, ImageForm, TextColumnsForm

FEATURES = [
    Feature.model_validate(column)
    for column in [
        {"name": "age", "kind": "number", "low": 1, "high": 99},
        {"name": "plan", "kind": "category", "categories": ["basic", "plus"]},
        {"name": "is new", "kind": "boolean"},
        {"name": "since", "kind": "date"},
    ]
]


@pytest.mark.parametrize(
    ("example", "initial"),
    [
        (
            {"age": "32", "plan": "plus", "is new": "True", "since": "2026-01-31 00:00:00"},
            [32.0, "plus", "1", date(2026, 1, 31)],
        ),
        ({"age": "old", "plan": "gold", "is new": "perhaps", "since": "soon"}, [None] * 4),
        ({"age": "nan", "plan": "", "since": ""}, [None] * 4),
        ({}, [None] * 4),
    ],
)
def test_each_field_begins_with_what_its_cell_says_if_it_can(example, initial):
    form = FeaturesForm(FEATURES, example=example)
    assert [form.initial[name] for name in form.fields] == initial
    assert form.as_div()


def test_columns_keep_their_names_in_every_language():
    """A column may be called as one of our words is, or as markup."""
    names = ["plan", "<b>x</b>"]
    form = FeaturesForm([Feature(name=name, kind="number") for name in names])
    with override("zh-hans"):
        shown = "".join(render_to_string("_field.html", {"field": field}) for field in form)
    assert ">\n    plan " in shown
    assert "&lt;b&gt;x&lt;/b&gt;" in shown
    assert "<b>" not in shown


def test_each_column_of_text_has_its_box_and_the_row_is_as_the_api_takes_it():
    inputs = Inputs(kind="text", columns=["subject", "<b>body</b>", "note"], text_separator=" | ")
    form = TextColumnsForm(inputs, example="late")
    assert [box.initial for box in form] == ["late", None, None]
    shown = form.as_div()
    assert shown.count("<textarea") == 3
    assert "<b>body</b>" not in shown
    form = TextColumnsForm(inputs, {"t0": "late ", "t1": "", "t2": "again"})
    assert form.is_valid()
    assert form.row == {"subject": "late ", "<b>body</b>": "", "note": "again"}
    assert form.as_one_text == "late | again"
    assert not TextColumnsForm(inputs, {"t0": " ", "t2": ""}).is_valid()
    assert not TextColumnsForm(inputs, {"t0": "x" * 10_001}).is_valid()


def test_a_picture_can_be_dropped_and_its_place_works_without_scripts():
    shown = ImageForm().as_div()
    assert "data-drop" in shown
    assert shown.count('type="file"') == 1
    assert shown.count("hidden") == 2  # The preview and the hint need JavaScript.
