"""What a page says once after an action is in the reader's language."""

import pytest
from django.contrib import messages
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils.translation import override


class Kept(list):
    """Messages as a view's request keeps them."""

    def add(self, level, message, extra_tags=""):
        self.append(messages.storage.base.Message(level, message, extra_tags=extra_tags))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("tickets-v2 is live.", "tickets-v2"),
        ("Queued again with the same recipe, from the start.", ""),
        ("These are the same bytes as version 3.", "3"),
    ],
)
def test_a_toast_is_translated_with_its_values(said, shown):
    request = RequestFactory().get("/")
    stored = Kept()
    stored.add(messages.SUCCESS, said)
    with override("zh-hans"):
        page = render_to_string("_messages.html", {"messages": stored}, request)
    assert said not in page
    assert shown in page
    assert any("一" <= letter <= "鿿" for letter in page.partition("<p>")[2].partition("</p>")[0])
