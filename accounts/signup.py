"""A new person and the team that comes with them."""

import secrets

from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils.text import slugify

from accounts import audit
from accounts.models import Membership, Role, Team, User

NAME_LENGTH = 80
SLUG_ROOM = 50  # The slug column holds 60: the rest is for a suffix that makes it unique.


@transaction.atomic
def create_account(
    email: str, password: str | None, team_name: str | None = None
) -> tuple[User, Team]:
    """A user whose address counts as verified (an operator vouches for it) and a team they own.

    Without a password the user can sign in only after resetting it by mail.
    """
    user = User.objects.create_user(email, password)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user, create_team(user, team_name)


@transaction.atomic
def create_team(owner: User, name: str | None = None) -> Team:
    """A team with a slug of its own and `owner` as its owner."""
    wanted = " ".join((name or "").split()) or f"{owner.email.partition('@')[0]}'s team"
    team = Team.objects.create(name=wanted[:NAME_LENGTH], slug=_free_slug(wanted))
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    audit.record(team, owner, "team.created", team.name)
    return team


def _free_slug(name: str) -> str:
    slug = slugify(name)[:SLUG_ROOM].strip("-") or "team"
    if not Team.objects.filter(slug=slug).exists():
        return slug
    return f"{slug}-{secrets.token_hex(4)}"
