"""Texts of code in the reader's language. A builtin: no template loads it.

Texts of templates use Django's own `translate` and `blocktranslate`.
"""

import re

from django import template
from django.conf.locale import LANG_INFO
from django.forms import BoundField
from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from web.language.script_texts import all_texts
from web.language.sentences import translated

register = template.Library()
register.filter("translated", translated)
TITLE_WORD = re.compile(r"(?<!^)(?<![Vv]ia )(?<![Ww]ith )\b[A-Z][a-z]+\b")


@register.filter
def language_word(code: str) -> str:
    """ "en" as "English", in the reader's language; a code that nobody knows stays."""
    name = "Chinese" if code == "zh" else LANG_INFO.get(code, {}).get("name", code)
    return gettext(name) if name else name


@register.filter
def sentence_case(text: str) -> str:
    """As our own titles are written: "Change Password" becomes "Change password".

    Names with capitals inside stay (GitHub), and what follows "via" or "with".
    """
    return TITLE_WORD.sub(lambda word: word[0].lower(), text.strip())


@register.filter
def label_words(field: BoundField) -> str:
    """A field's label in the reader's language; allauth writes its own as titles."""
    words = translated(field.label)
    is_theirs = any(one.__module__.startswith("allauth.") for one in type(field.form).__mro__)
    return sentence_case(words) if is_theirs else words


@register.simple_tag
def script_texts() -> SafeString:
    """The scripts' texts as data, which the CSP lets pass; nothing where they are English."""
    if (get_language() or "en").startswith("en"):
        return SafeString("")
    return json_script({text: gettext(text) for text in all_texts()}, "script-texts")
