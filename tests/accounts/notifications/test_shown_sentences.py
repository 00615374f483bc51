"""A notice is read in the reader's language, but for the names people gave."""

import pytest
from django.utils.translation import override

from accounts.models import Notice


@pytest.mark.parametrize(
    ("name", "told", "shown"),
    [
        ("Shapes", "Finished", "已完成"),
        ("Models", "Finished: Accuracy 75.0%", "已完成：准确率 75.0%"),
        ("Datasets: Endpoints", "Cancelled", "已取消"),
    ],
)
def test_the_name_stays_and_the_rest_is_translated(name, told, shown):
    notice = Notice(sentence=f"{name}: {told}", data={"name": name})
    assert notice.shown_sentence == f"{name}: {told}"
    with override("zh-hans"):
        assert notice.shown_sentence == f"{name}: {shown}"


def test_a_notice_about_something_else_is_one_sentence():
    notice = Notice(sentence="A dataset is ready.", data={"name": "tickets.csv"})
    assert notice.shown_sentence == "A dataset is ready."
