"""Where a page shows what apps above its own have to say about its subject."""

from typing import Any, cast

from django import template
from django.db.models import Model
from django.http import HttpRequest
from django.template.loader import get_template
from django.utils.safestring import SafeString, mark_safe

from web.browser.parts import parts_of

register = template.Library()


@register.simple_tag(takes_context=True)
def page_parts(context: template.Context, place: str, subject: Model) -> SafeString:
    """All that is registered for this place, in its order. Each part sees the page's context."""
    known = cast(dict[str, Any], context.flatten())
    request: HttpRequest = known["request"]
    parts = [
        get_template(part.template).render({**known, **part.load(request, subject)}, request)
        for part in parts_of(place)
    ]
    return mark_safe("\n".join(parts))  # noqa: S308
