"""Joining, leaving and changing roles. A team always keeps an owner."""

import secrets
from datetime import timedelta

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.access import require, role_of
from accounts.errors import AlreadyMember, InvitationForSomeoneElse, InvitationGone, LastOwner
from accounts.models import ApiToken, Invitation, Membership, Role, Team, User
from accounts.notices import tell
from web.errors import NotAllowed

INVITATION_LIFE = timedelta(days=7)


@transaction.atomic
def invite(team: Team, inviter: User, *, email: str, role: str) -> tuple[Invitation, str]:
    """An invitation and the secret of its link. Only owners invite owners."""
    require(inviter, team, "team")
    _only_owners_touch_owners(team, inviter, role)
    if Membership.objects.filter(team=team, user__email__iexact=email).exists():
        raise AlreadyMember
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        team=team,
        email=email.lower(),
        role=role,
        digest=ApiToken.digest_of(secret),
        invited_by=inviter,
        expires_at=now() + INVITATION_LIFE,
    )
    audit.record(team, inviter, "member.invited", invitation.email, role=role)
    return invitation, secret


def open_invitation(secret: str) -> Invitation:
    """The open invitation behind a link. Raises InvitationGone."""
    found = Invitation.objects.open().select_related("team", "invited_by")
    invitation = found.filter(digest=ApiToken.digest_of(secret)).first()
    if invitation is None:
        raise InvitationGone
    return invitation


@transaction.atomic
def accept(secret: str, user: User) -> Team:
    """Join the team, once. Raises InvitationGone or InvitationForSomeoneElse."""
    invitation = open_invitation(secret)
    if invitation.email.lower() != user.email.lower():
        raise InvitationForSomeoneElse
    # The guarded update decides between two clicks on the same link.
    if not Invitation.objects.open().filter(pk=invitation.pk).update(accepted_at=now()):
        raise InvitationGone
    membership, is_new = Membership.objects.get_or_create(
        team=invitation.team, user=user, defaults={"role": invitation.role}
    )
    if is_new:
        audit.record(invitation.team, user, "member.joined", user.email, role=membership.role)
        tell(
            invitation.team,
            "member.joined",
            f"{user} joined {invitation.team} as {membership.get_role_display().lower()}.",
            url=reverse("accounts:members", args=[invitation.team.slug]),
            data={"email": user.email, "role": membership.role},
            about=user,
        )
    return invitation.team


@transaction.atomic
def withdraw(invitation: Invitation, actor: User) -> None:
    """Make an open invitation's link useless."""
    require(actor, invitation.team, "team")
    if Invitation.objects.open().filter(pk=invitation.pk).update(expires_at=now()):
        audit.record(invitation.team, actor, "invitation.withdrawn", invitation.email)


@transaction.atomic
def change_role(membership: Membership, actor: User, role: str) -> None:
    """Give a member another role. Only owners make or unmake owners; the last one stays."""
    team = _locked(membership)
    require(actor, team, "team")
    _only_owners_touch_owners(team, actor, membership.role, role)
    if role != Role.OWNER:
        _keep_an_owner(team, membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(team, actor, "member.role_changed", membership.user.email, old=before, new=role)


@transaction.atomic
def remove(membership: Membership, actor: User) -> None:
    """End a membership (one's own, or with the permission "team") and its tokens for the team."""
    team = _locked(membership)
    if membership.user_id != actor.pk:
        require(actor, team, "team")
        _only_owners_touch_owners(team, actor, membership.role)
    _keep_an_owner(team, membership)
    tokens = ApiToken.objects.filter(team=team, created_by=membership.user, revoked_at=None)
    revoked = tokens.update(revoked_at=now())
    membership.delete()
    audit.record(team, actor, "member.removed", membership.user.email, tokens_revoked=revoked)


def _locked(membership: Membership) -> Team:
    """The team, locked: two owners leaving at once must not leave none. Rereads the role."""
    team = Team.objects.select_for_update().get(pk=membership.team_id)
    membership.refresh_from_db(fields=["role"])
    return team


def _only_owners_touch_owners(team: Team, actor: User, *roles: str) -> None:
    if Role.OWNER in roles and role_of(actor, team) != Role.OWNER:
        raise NotAllowed("Only an owner of the team may do this to an owner.")


def _keep_an_owner(team: Team, leaving: Membership) -> None:
    others = Membership.objects.filter(team=team, role=Role.OWNER).exclude(pk=leaving.pk)
    if leaving.role == Role.OWNER and not others.exists():
        raise LastOwner
