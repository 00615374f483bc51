"""Buttons that change something: at once, or after they asked."""

import re
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from web.browser.confirmation import TYPED_NAME_FIELD
from web.templatetags.form_tokens import idempotency_key_field
from web.templatetags.ui import html_attribute

register = template.Library()

# What a `pattern` must escape; anything more is an error in a regular expression with the v flag.
PATTERN_SYNTAX = re.compile(r"[\\^$.*+?()\[\]{}|]")


@register.simple_tag(takes_context=True)
def post_button(
    context: template.Context,
    label: str,
    view: str,
    *args: object,
    variant: str = "",
    size: str = "",
) -> SafeString:
    """A button that posts to a view, for what changes something without asking more."""
    return format_html(
        '<form method="post" action="{}">'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">{}'
        '<button class="btn"{}{} type="submit">{}</button></form>',
        reverse(view, args=args),
        context.get("csrf_token", ""),
        idempotency_key_field(),
        html_attribute("data-variant", variant),
        html_attribute("data-size", size),
        label,
    )


@register.simple_block_tag(takes_context=True)
def confirm_button(
    context: template.Context,
    content: str,
    label: str,
    view: str,
    *args: object,
    title: str,
    about: str = "",
    does: str = "",
    typed_name: str = "",
    variant: str = "outline",
    size: str = "",
    keep: str = "",
) -> SafeString:
    """A button that opens a dialog which says what follows (the tag's content) and then posts.

    `about` names the thing for screen readers where several such buttons stand in a list, `does`
    is the dialog's own button when it should say more than `label`. With `typed_name` the name
    must be typed, which the view checks with `require_typed_name`. The dialog is a popover: it
    needs no script.
    """
    values: dict[str, Any] = {
        "dialog_id": "-".join(["confirm", view.replace(":", "-"), *map(str, args)]),
        "action": reverse(view, args=args),
        "csrf_token": context.get("csrf_token", ""),
        "idempotency_key": idempotency_key_field(),
        "content": content,
        "label": label,
        "about": about,
        "does": does or label,
        "title": title,
        "typed_name": typed_name,
        "typed_pattern": PATTERN_SYNTAX.sub(r"\\\g<0>", typed_name.strip()),
        "field": TYPED_NAME_FIELD,
        "variant": variant,
        "size": size,
        "keep": keep or gettext("Keep it"),
    }
    return SafeString(render_to_string("_confirm.html", values))
