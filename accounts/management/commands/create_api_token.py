"""`manage.py create_api_token --email E --team T`: a token for automation, printed last."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import models, transaction

from accounts import audit
from accounts.models import ApiToken, Membership, Role, Team, TokenScope, User
from accounts.signup import create_account, create_team


class Command(BaseCommand):
    help = "Prints a new API token alone on the last line, creating the user and team if absent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--team", required=True, help="name or slug")
        parser.add_argument("--name", default="Command line")
        parser.add_argument(
            "--scopes", nargs="+", default=list(TokenScope.values), help="read write inference"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = " ".join(options["scopes"]).replace(",", " ").split()
        if unknown := set(scopes) - set(TokenScope.values):
            raise CommandError(f"Unknown scopes: {', '.join(sorted(unknown))}.")
        if not scopes:
            raise CommandError("Give at least one scope.")
        try:
            validate_email(options["email"])
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        with transaction.atomic():
            user, team = _get_or_create_member(options["email"].lower(), options["team"])
            token, secret = ApiToken.issue(
                team=team, created_by=user, name=options["name"][:80], scopes=scopes
            )
            audit.record(team, None, "token.created", str(token), scopes=scopes)
        self.stdout.write(f"API token of {user.email} for {team.name} ({', '.join(scopes)}):")
        self.stdout.write(secret)


def _get_or_create_member(email: str, team_name: str) -> tuple[User, Team]:
    """The user, and the team by name or slug, each created if absent; the user is a member."""
    user = User.objects.filter(email=email).first()
    own_teams = Team.objects.filter(memberships__user=user) if user else Team.objects.none()
    team = _find_team_by_name(own_teams, team_name) or _find_team_by_name(
        Team.objects.all(), team_name
    )
    if user is None and team is None:
        return create_account(email, None, team_name)
    if user is None:
        user = User.objects.create_user(email)
    if team is None:
        return user, create_team(user, team_name)
    Membership.objects.get_or_create(team=team, user=user, defaults={"role": Role.MEMBER})
    return user, team


def _find_team_by_name(teams: models.QuerySet[Team], name: str) -> Team | None:
    return teams.filter(slug=name).first() or teams.filter(name=name).order_by("created_at").first()
