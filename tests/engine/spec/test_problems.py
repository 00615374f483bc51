"""None of pydantic's own wordings reaches a person."""

import re
from pathlib import Path
from typing import get_args

import pytest
from django.utils import translation
from pydantic import ValidationError
from pydantic_core import core_schema

from engine.spec import SearchSpec, parse_spec
from engine.spec.problems import problem_sentence
from web.language.sentences import translated

SPEC = {
    "task": "text-classification", "data": Path("d"), "output": Path("o"), "work": Path("w"),
    "text_columns": ["a"], "target_column": "b",
}  # fmt: skip
PYDANTICS = re.compile(
    r"Input|should|valid (string|integer|number|boolean|list|dictionary)|Value error|Field required"
    r"|Extra inputs|discriminator using|unable|parse|[{}]"
)


def sentence_about(change: dict[str, object]) -> str:
    with pytest.raises(ValidationError) as caught:
        parse_spec(SPEC | change)
    return problem_sentence(caught.value.errors()[0])


def hyperparameter(**values: object) -> dict[str, object]:
    return {"hyperparameters": values}


SAID = [
    (hyperparameter(label_separator="123456"), "It must have at most 5 characters."),
    (hyperparameter(label_separator=3), "It must be a text."),
    (hyperparameter(epochs="x"), "It must be a whole number."),
    (hyperparameter(epochs=1.5), "It must be a whole number."),
    (hyperparameter(epochs=-1), "It must be 0 or more."),
    (hyperparameter(epochs=[]), "It must be a whole number."),
    (hyperparameter(dropout=2), "It must be less than 0.9."),
    (hyperparameter(dropout="much"), "It must be a number."),
    (hyperparameter(learning_rate=1.5), "It must be 1 or less."),
    (hyperparameter(batch_tokens=10**9), "It must be 131,072 or less."),
    (hyperparameter(head_learning_rate=0), "It must be more than 0."),
    (hyperparameter(schedule="up"), "It must be one of: linear, cosine, constant."),
    (hyperparameter(contenders="maybe"), "It must be true or false."),
    (hyperparameter(epoch=1), "Nothing of this name can be set here."),
    (hyperparameter(folds=1), "One fold leaves nothing to train on: use 0, or 2 and more."),
    ({"hyperparameters": 3}, "It must be an object with named values."),
    ({"text_columns": []}, "It must not be empty."),
    ({"target_column": ""}, "It must not be empty."),
    ({"text_columns": "a"}, "It must be a list."),
    ({"data": 1}, "This value is not accepted here."),
]


@pytest.mark.parametrize(("change", "sentence"), SAID)
def test_a_problem_is_said_plainly_and_in_chinese(change, sentence):
    assert sentence_about(change) == sentence
    with translation.override("zh-hans"):
        shown = translated(f"hyperparameters.x: {sentence}")
    assert re.search("[\u4e00-\u9fff]", shown), shown
    assert shown.startswith("hyperparameters.x")
    assert not re.search(r"\b(must|It|the)\b", shown), shown


def test_a_missing_field_and_a_long_list():
    with pytest.raises(ValidationError) as missing:
        parse_spec({key: value for key, value in SPEC.items() if key != "text_columns"})
    assert problem_sentence(missing.value.errors()[0]) == "It is required."
    with pytest.raises(ValidationError) as too_long:
        SearchSpec.model_validate({"parameters": ["dropout"] * 21})
    assert problem_sentence(too_long.value.errors()[0]) == "It must have at most 20 entries."


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
def test_no_kind_of_problem_is_said_in_pydantics_words(kind):
    names = (
        *("gt", "ge", "lt", "le", "min_length", "max_length", "pattern", "expected"),
        *("discriminator", "expected_tags", "error"),
    )
    context = {name: "7." for name in names}
    sentence = problem_sentence({"type": kind, "msg": "Input should", "ctx": context})
    assert not PYDANTICS.search(sentence), sentence
    assert sentence.endswith(".")
