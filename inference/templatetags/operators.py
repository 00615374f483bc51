"""What operators see: the first page, a team at a glance, and the ways to and from users' pages."""

from django import template
from django.db.models import Model
from django.urls import NoReverseMatch, reverse

from accounts.models import Team
from inference.queries.operator_team import load_team_facts
from inference.queries.operators import load_home

register = template.Library()
# What a page is about, by the name in its context: the narrowest first.
SUBJECTS = ("assistant", "deployment", "model", "job", "dataset", "project", "team")

register.simple_tag(load_home, name="operator_home")
register.simple_tag(load_team_facts, name="team_facts")


@register.simple_tag(takes_context=True)
def admin_url(context: template.Context) -> str:
    """The admin's page of what this page is about, for operators; "" for everybody else."""
    user = context.get("user")
    if not getattr(user, "is_staff", False):
        return ""
    for name in SUBJECTS:
        subject = context.get(name)
        if isinstance(subject, Model) and subject.pk:
            meta = subject._meta
            try:
                return reverse(
                    f"admin:{meta.app_label}_{meta.model_name}_change", args=[subject.pk]
                )
            except NoReverseMatch:
                continue
    return reverse("admin:index")


@register.simple_tag(takes_context=True)
def page_url(context: template.Context, subject: object) -> str:
    """The users' page of a row of the admin; "" where there is none, or its team is another."""
    if not hasattr(subject, "get_absolute_url"):
        return ""
    owner = subject if hasattr(subject, "team") or isinstance(subject, Team) else subject.project  # type: ignore[attr-defined]
    team = owner if isinstance(owner, Team) else owner.team
    is_own = team.pk in context["request"].user.team_ids()
    return str(subject.get_absolute_url()) if is_own else ""
