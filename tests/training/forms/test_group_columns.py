"""Which columns the launch form offers as groups to treat alike."""

from types import SimpleNamespace

import pytest

from engine.spec import SPEC_CLASSES
from training.forms.launch import MAX_GROUPS, _eligible_columns

ROLE = next(
    role
    for role in SPEC_CLASSES["tabular-classification"].roles
    if role.field == "fairness_columns"
)


def version(**unique: int) -> SimpleNamespace:
    return SimpleNamespace(
        columns=[{"name": name, "type": "category"} for name in unique],
        profile={
            "columns": [{"name": name, "unique": count} for name, count in unique.items()],
            "suggested": {"target_column": "approved"},
        },
    )


@pytest.mark.parametrize("name", ["sex", "Applicant age", "marital_status", "GENDER", "性别"])
def test_columns_that_name_people_come_first(name):
    offered = _eligible_columns(ROLE, version(**{"branch": 4, "colour": 3, name: 5}), [])
    assert offered == [name, "branch", "colour"]


def test_neither_the_label_nor_what_has_too_many_values_is_offered():
    shown = version(approved=2, branch=4, ticket=MAX_GROUPS + 1, passage=3)
    assert _eligible_columns(ROLE, shown, []) == ["branch", "passage"]


def test_a_copied_choice_of_the_label_stays():
    assert _eligible_columns(ROLE, version(approved=2, sex=2), ["approved"]) == ["sex", "approved"]
