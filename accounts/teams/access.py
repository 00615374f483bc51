"""What ends when a person may do less: removed, demoted, deactivated, or the team deleted.

Rights are worked out when they are used: a token has at most the rights that its creator has at
that moment, and an invitation is as good as its issuer. So `end_access` has only to undo what is
stored, and to tell every process that remembers an answer or keeps a stream open. It is called
after every change of a membership or a person, whoever made it (`accounts.apps`). Apps above this
one name by `register_ending` what they stored that a person's rights carry.
"""

from collections.abc import Callable

from django.utils.timezone import now

from accounts.models import PERMISSIONS, ApiToken, Invitation, Membership, User
from web.streams.access import access_ended

_endings: list[Callable[[User], object]] = []


def register_ending(end: Callable[[User], object]) -> None:
    """Call this with each person whose rights have changed, in the transaction of the change."""
    _endings.append(end)


def end_access(user: User) -> None:
    """End what the person's rights, as they are now, no longer carry. Safe to call at any time.

    Tokens of teams that the person has left are revoked; those of a demoted person stay, with what
    is left of their rights. Invitations end when their issuer may no longer invite. Everything else
    learns of it through `access_ended` when the transaction commits.
    """
    roles = dict(Membership.objects.filter(user=user).values_list("team_id", "role"))
    tokens = ApiToken.objects.filter(created_by=user, revoked_at=None)
    tokens.exclude(team__in=roles).update(revoked_at=now())
    inviting = [team for team, role in roles.items() if "team" in PERMISSIONS.get(role, set())]
    invitations = Invitation.objects.filter(invited_by=user, accepted_at=None, expires_at__gt=now())
    invitations.exclude(team__in=inviting if user.is_active else []).update(expires_at=now())
    for end in _endings:
        end(user)
    access_ended(person_ids=[user.pk])
