"""Issuing, rotating and revoking API tokens."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.errors import TokenIsOver
from accounts.models import ApiToken, Team, User
from accounts.notifications.publish import publish
from accounts.permissions import TokenNotAllowed, person_behind, require_permission
from web.rate_limits.actions import require_rate
from web.sse import notify

MAX_OVERLAP = timedelta(days=30)


@dataclass(frozen=True)
class TokenLimits:
    """What a token may do less than its scopes say; all of it concerns answers of models."""

    allowed_models: list[str] = field(default_factory=list)  # Empty: all of the team's.
    budget_micro: int | None = None  # Each month.
    requests_per_minute: int | None = None


_spending: list[Callable[[Team], dict[str, int]]] = []


def register_spending(spent_by_prefix: Callable[[Team], dict[str, int]]) -> None:
    """Billing knows what was spent by each token this month, and lies above."""
    _spending[:] = [spent_by_prefix]


def spent_this_month(team: Team) -> dict[str, int]:
    """Micro-USD by the prefix of a token; those that spent nothing are left out."""
    return _spending[0](team) if _spending else {}


@transaction.atomic
def issue(
    team: Team,
    user: User,
    *,
    name: str,
    scopes: list[str],
    expires_at: datetime | None = None,
    limits: TokenLimits | None = None,
) -> tuple[ApiToken, str]:
    """A token of the team and its secret. Raises NotAllowed without the permission "tokens"."""
    require_permission(user, team, "tokens")
    require_rate("tokens", team.pk)
    chosen = asdict(limits or TokenLimits())
    token, secret = ApiToken.issue(
        team=team, created_by=user, name=name, scopes=scopes, expires_at=expires_at, **chosen
    )
    audit.record(team, user, "token.created", str(token), scopes=scopes, **chosen)
    publish(
        team,
        "token.created",
        f"{user} created the API token {token.name} ({', '.join(scopes)}).",
        url=reverse("accounts:tokens", args=[team.slug]),
        data={"id": str(token.pk), "name": name, "prefix": token.prefix, "scopes": scopes},
        about=user,
    )
    return token, secret


@transaction.atomic
def update(
    token: ApiToken,
    user: User,
    *,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
    limits: TokenLimits,
) -> None:
    """Change what a token may do; its secret stays. What is taken away ends within a second.

    Raises NotAllowed as for a rotation, and TokenIsOver for one that is revoked or expired.
    """
    require_control(token, user)
    locked = ApiToken.objects.usable().select_for_update(of=("self",)).filter(pk=token.pk).first()
    if locked is None:
        raise TokenIsOver
    chosen = {"name": name, "scopes": scopes, "expires_at": expires_at, **asdict(limits)}
    before = {field: getattr(locked, field) for field in chosen}
    changed = {field: value for field, value in chosen.items() if value != before[field]}
    if not changed:
        return
    for field_name, value in changed.items():
        setattr(locked, field_name, value)
    locked.save(update_fields=list(changed))
    recorded = {name: [str(before[name]), str(value)] for name, value in changed.items()}
    audit.record(token.team, user, "token.changed", str(locked), **recorded)
    _forget_copies(locked)


def _forget_copies(token: ApiToken) -> None:
    """The models process reads anew what holds for its secrets."""
    for digest in filter(None, (token.digest, token.previous_digest)):
        notify(f"token:{digest}")


@transaction.atomic
def rotate(token: ApiToken, viewer: User | ApiToken, overlap: timedelta) -> str:
    """Give the token another secret; the former one works until the overlap is over.

    A token may rotate itself, but not by its former secret: who rotates a secret that leaked would
    else lose the token to whoever found it. One's own needs "tokens"; somebody else's needs "team".
    Raises NotAllowed, and TokenIsOver for one that is revoked or expired.
    """
    require_control(token, viewer)
    if isinstance(viewer, ApiToken) and viewer.has_former_secret:
        raise TokenNotAllowed("This secret has been replaced. Rotate the token by its present one.")
    locked = ApiToken.objects.usable().select_for_update(of=("self",)).filter(pk=token.pk).first()
    if locked is None:
        raise TokenIsOver
    former = [digest for digest in (locked.digest, locked.previous_digest) if digest]
    secret = locked.renew_secret(min(overlap, MAX_OVERLAP))
    locked.save(update_fields=["digest", "previous_digest", "previous_until", "rotated_at"])
    until = locked.previous_until.isoformat() if locked.previous_until else "now"
    audit.record(token.team, viewer, "token.rotated", str(token), former_works_until=until)
    for digest in former:  # The models process reads anew until when they count.
        notify(f"token:{digest}")
    return secret


@transaction.atomic
def revoke(token: ApiToken, viewer: User | ApiToken) -> None:
    """End a token now. It may end itself; one's own needs "tokens", somebody else's "team"."""
    require_control(token, viewer)
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now()):
        audit.record(token.team, viewer, "token.revoked", str(token))
        _forget_copies(ApiToken.objects.get(pk=token.pk))


def require_control(token: ApiToken, viewer: User | ApiToken) -> None:
    """Raises NotAllowed for whoever may neither rotate nor revoke this token."""
    if isinstance(viewer, ApiToken):
        if viewer.pk != token.pk:
            raise TokenNotAllowed("A token may rotate or revoke itself only.")
        return
    is_own = token.created_by_id == person_behind(viewer).pk
    require_permission(viewer, token.team, "tokens" if is_own else "team")
