"""What the signed-in person may do in the team of the page."""

from django import template

from accounts.permissions import has_permission

register = template.Library()


@register.simple_tag(takes_context=True)
def may(context: template.Context, permission: str) -> bool:
    """Whether their role has this permission ("read", "write", "inbox", "billing", "team", …)."""
    team = context.get("team")
    if not team:
        return False
    return has_permission(context["request"].user, team, permission)
