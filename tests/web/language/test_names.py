"""Words of ours are translated wherever they stand; what people named is shown as they named it."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils.translation import override

from billing.statements.sources import CostSource
from engine.spec import SPEC_CLASSES
from projects.models import DatasetVersion
from tests.web.language.reading import Reader
from web.language.sentences import translated
from web.templatetags.ui import plain

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN"}
LATIN = re.compile("[a-z]")


def in_chinese(text: str) -> str:
    with override("zh-hans"):
        return translated(text)


@pytest.mark.parametrize("task", SPEC_CLASSES)
def test_every_task_has_a_chinese_name(task):
    with override("zh-hans"):
        assert not LATIN.search(plain(task))


@pytest.mark.parametrize(
    "why",
    [
        "Text is free text; Label repeats 12 values over 2,000 rows: its name says so and it is the"
        " last column.",
        "A and B are free text; C is a number to estimate.",
        "1 other column describes each row; N holds lists of 3 labels: it is the last column.",
        "21 other columns describe each row; N repeats 2 values over 100 rows: its name says so."
        " A quick look says that the other columns tell it (73% better than a guess).",
    ],
)
def test_the_reason_of_a_proposal_is_chinese_but_for_names(why):
    matches = re.sub(r"\b(Text|Label|[ABCN])\b", "", in_chinese(why))
    assert not LATIN.search(matches), matches


@pytest.mark.parametrize("name", ["channel", "status", "rows", "cost", "queue", "text"])
def test_columns_keep_their_names_on_the_launch_page(name, dataset_version, alice, client_of):
    columns = [{"name": name, "type": "text"}, {"name": "target", "type": "text"}]
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(columns=columns)
    address = reverse("training:launch", args=[dataset_version.dataset_id])
    page = client_of(alice).get(address, **CHINESE).content.decode()
    reader = Reader()
    reader.feed(page)
    assert name in reader.texts


def test_a_fine_tune_keeps_its_name_on_the_bill():
    with override("zh-hans"):
        assert CostSource(source="x", name="tickets · quick").shown_label == "tickets · quick"
        gone = CostSource(source="training-job:12345678-1234-5678-1234-567812345678")
        assert "Fine-tune" not in gone.shown_label


@pytest.mark.parametrize(
    "sentence",
    [
        "77.1% right; always guessing the most common label 78.1%; with 201 test rows the"
        " difference may be chance.",
        "94.7% right; always guessing the most common label 12.9%.",
        "It is 1.0 points worse than always guessing the most common label. That may well be chance"
        " (p = 0.62): 201 test rows cannot tell the two apart.",
        "Drawn, each label in proportion, seed 0; duplicates and near duplicates on one side.",
        "Cost & attempts",
        "Test accuracy",
    ],
)
def test_what_a_report_says_is_chinese(sentence):
    assert not LATIN.search(in_chinese(sentence).replace("p =", "")), in_chinese(sentence)


SENTENCES = "sentence|why|advice|reason|headline|sure|next_step|probe_sentence|split|bars_are"
SHOWN_AS_IT_IS = re.compile(rf"\{{\{{ [a-z_0-9]+\.(?:\w+\.)*(?:{SENTENCES}) \}}\}}")


def test_no_template_shows_a_sentence_of_ours_as_it_is():
    templates = Path(settings.BASE_DIR) / "templates"
    result = {
        path.name: hits
        for path in templates.rglob("*.html")
        if (hits := SHOWN_AS_IT_IS.findall(path.read_text()))
    }
    assert result == {}
