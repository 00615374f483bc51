"""Issuing and revoking API tokens."""

from datetime import datetime

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.access import require
from accounts.models import ApiToken, Team, User
from accounts.notices import tell
from web.live import notify


@transaction.atomic
def issue(
    team: Team, user: User, *, name: str, scopes: list[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A token of the team and its secret. Raises NotAllowed without the permission "tokens"."""
    require(user, team, "tokens")
    token, secret = ApiToken.issue(
        team=team, created_by=user, name=name, scopes=scopes, expires_at=expires_at
    )
    audit.record(team, user, "token.created", str(token), scopes=scopes)
    tell(
        team,
        "token.created",
        f"{user} created the API token {token.name} ({', '.join(scopes)}).",
        url=reverse("accounts:tokens", args=[team.slug]),
        data={"id": str(token.pk), "name": name, "prefix": token.prefix, "scopes": scopes},
        about=user,
    )
    return token, secret


@transaction.atomic
def revoke(token: ApiToken, user: User) -> None:
    """End a token now. One's own needs "tokens"; somebody else's needs "team"."""
    require(user, token.team, "tokens" if token.created_by_id == user.pk else "team")
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now()):
        audit.record(token.team, user, "token.revoked", str(token))
        notify(f"token:{token.digest}")  # The models process forgets it at once.
