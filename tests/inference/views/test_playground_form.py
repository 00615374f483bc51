"""The form that asks a model of tables begins with a row the model was tested on."""

from datetime import date

import pytest
from django.template.loader import render_to_string
from django.utils.translation import override

from engine.artifact import Feature
from inference.forms.playground import FeaturesForm

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
