"""Django's `csrf_token`, and with it the key of this copy of the form.

A builtin that takes the place of Django's tag, so that no form can be without it: whoever sends the
same copy twice, by a double click or after a lost answer, has acted once (`web.idempotency`).
"""

import uuid

from django import template
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


def idempotency_key_field() -> SafeString:
    """The hidden field with a new id."""
    return format_html('<input type="hidden" name="idempotency_key" value="{}">', uuid.uuid4().hex)


class FormTokensNode(CsrfTokenNode):
    def render(self, context: template.Context) -> SafeString:
        return mark_safe(super().render(context) + idempotency_key_field())  # Both are.


@register.tag
def csrf_token(parser: template.base.Parser, token: template.base.Token) -> FormTokensNode:
    return FormTokensNode()
