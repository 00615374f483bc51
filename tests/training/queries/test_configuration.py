"""What a job's page says of its settings."""

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN"}


@pytest.mark.parametrize("column", ["queue", "label", "Accuracy", "<i>text</i>"])
def test_names_of_columns_are_not_translated(job, alice, client_of, column):
    job.recipe |= {"text_columns": [column], "target_column": column}
    job.save(update_fields=["recipe"])
    page = client_of(alice).get(reverse("training:job", args=[job.pk]), **CHINESE)
    html = page.content.decode()
    assert "<i>text</i>" not in html
    shown = [strip_tags(part.partition("</dd>")[0]) for part in html.split("<dd>")[1:]]
    escaped = column.replace("<", "&lt;").replace(">", "&gt;")
    assert escaped in shown
