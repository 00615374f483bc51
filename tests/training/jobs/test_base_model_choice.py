"""The base model that a job starts from when nobody names one, by the language of its texts."""

import pytest

from projects.models import DatasetVersion
from projects.profiling.language import detect_language
from training.jobs import base_model_choice
from training.jobs.base_model_choice import default_base_model

ENGLISH = ["I can not sign in to my account and the page says that it is busy"] * 5
TEXTS = {
    "en": ENGLISH,
    "zh": ["送了两个小时都凉了，味道也不好", "服务态度好 good"],
    "ja": ["とても良い商品でした。また買います。"],
    "ko": ["배송이 너무 늦었어요"],
    "th": ["อาหารอร่อยมาก"],
    "ru": ["Доставка была очень быстрой, всё понравилось, спасибо большое вам"] * 3,
    "de": ["Die Lieferung war leider sehr langsam und das Essen war schon kalt"] * 3,
    "es": ["El pedido llegó tarde y la comida estaba fría, no lo recomiendo a nadie"] * 3,
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_language_is_found(language):
    assert detect_language(TEXTS[language]) == language


def test_what_says_nothing_counts_as_english():
    assert detect_language([]) == detect_language(["12 34", "ABC-7"]) == "en"


@pytest.mark.parametrize(
    ("language", "obtainable", "chosen"),
    [
        ("en", True, "all-MiniLM-L6-v2"),
        ("zh", True, "multilingual-e5-small"),
        ("de", True, "multilingual-e5-small"),
        ("zh", False, "all-MiniLM-L6-v2"),
    ],
)
def test_texts_that_are_not_english_start_from_many_languages(
    language, obtainable, chosen, monkeypatch
):
    monkeypatch.setattr(base_model_choice, "is_obtainable", lambda entry: obtainable)
    version = DatasetVersion(
        profile={
            "suggested": {"text_columns": ["t"]},
            "columns": [{"name": "t", "language": language}, {"name": "e", "language": "en"}],
        }
    )
    assert default_base_model("text-classification", version).id == chosen
    assert default_base_model("text-classification", version, ["e"]).id == "all-MiniLM-L6-v2"
    assert default_base_model("tabular-classification", version).id == "tabular-network"
