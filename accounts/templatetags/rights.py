"""What the signed-in person may do in the team of the page."""

from django import template

from accounts.context import role_in
from accounts.models import PERMISSIONS

register = template.Library()


@register.simple_tag(takes_context=True)
def may(context: template.Context, permission: str) -> bool:
    """Whether their role has this permission ("write", "tokens", "billing", "team")."""
    team = context.get("team")
    if not team:
        return False
    return permission in PERMISSIONS.get(role_in(context["request"], team) or "", set())
