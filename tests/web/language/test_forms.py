"""Every label, help text and choice of a form is in the reader's language."""

import re
from collections.abc import Iterator
from zoneinfo import available_timezones

from django import forms
from django.forms.utils import pretty_name
from django.urls import get_resolver
from django.utils import translation

from web.language.sentences import translated

OURS = ("accounts", "assistants", "billing", "inference", "projects", "training", "web")
# Names of products, of their fields and of formats.
NAMES = {
    "API",
    "WeChat",
    "AppID",
    "AppSecret",
    "EncodingAESKey",
    "JSON",
    "CSV",
    "Mac Roman",
    "English",
} | {f"UTF-{bits}" for bits in (8, 16, 32)}


def forms_of_ours(parent: type = forms.BaseForm) -> Iterator[type[forms.BaseForm]]:
    for child in parent.__subclasses__():
        if child.__module__.split(".")[0] in OURS and "admin" not in child.__module__:
            yield child
        yield from forms_of_ours(child)


def shown_of(name: str, field: forms.Field) -> Iterator[str]:
    """As a page shows them: its template translates labels and help, and choices stay as given."""
    yield translated(str(field.label or pretty_name(name)))
    yield translated(str(field.help_text or ""))
    if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
        yield from (str(words) for _, words in field.choices)


def test_no_label_help_or_choice_is_left_in_english():
    assert get_resolver().url_patterns  # Which loads every form.
    untranslated = set()
    with translation.override("zh-hans"):
        for form in set(forms_of_ours()):
            for name, field in form.base_fields.items():
                for shown in shown_of(name, field):
                    is_english = re.search("[A-Za-z]{3}", shown)
                    if is_english and not re.search("[\u4e00-\u9fff]", shown):
                        untranslated.add(shown)
    assert untranslated - NAMES - available_timezones() == set()
