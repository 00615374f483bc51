"""A new person and the team that comes with them."""

import secrets

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from accounts import audit
from accounts.errors import TooManyTeams
from accounts.models import Membership, Role, Team, User
from web.language.sentences import translated

MAX_NAME_LENGTH = 80
MAX_BASE_SLUG_LENGTH = 50  # The column holds 60: the rest is for a suffix that makes it unique.


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
def create_another_team(owner: User, name: str) -> Team:
    """A further team. Raises TooManyTeams where the operator's policy says no."""
    User.objects.select_for_update().get(pk=owner.pk)  # Of two requests at once, one is counted.
    most = settings.MAX_OWNED_TEAMS
    if most and owner.memberships.filter(role=Role.OWNER).count() >= most:
        raise TooManyTeams(
            f"One person may own {'1 team' if most == 1 else f'{most} teams'} here. Leave one, or"
            " make somebody else its owner."
        )
    return create_team(owner, name)


@transaction.atomic
def create_team(owner: User, name: str | None = None) -> Team:
    """A team with a slug of its own and `owner` as its owner."""
    # In the language of the page that creates it; people rename it as they like.
    name = " ".join((name or "").split()) or translated(f"{owner.email.partition('@')[0]}'s team")
    slug = slugify(name)[:MAX_BASE_SLUG_LENGTH].strip("-") or "team"
    if Team.objects.filter(slug=slug).exists():
        slug = f"{slug}-{secrets.token_hex(4)}"
    team = Team.objects.create(name=name[:MAX_NAME_LENGTH], slug=slug)
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    audit.record(team, owner, "team.created", team.name)
    return team
