"""Pages for a team's members and the links that invite them."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit
from accounts.forms.people import InvitationForm, RoleForm, TeamForm
from accounts.models import Invitation, Membership, Role, Team, User
from accounts.permissions import find_team, has_permission, require_permission, role_of
from accounts.teams import invitation_email, membership
from accounts.teams.membership import INVITATION_SESSION_KEY
from web.browser.confirmation import require_typed_name
from web.browser.refusals import refusals_on, status_of
from web.errors import UserError
from web.requests import AuthenticatedRequest


def _render_members(
    request: AuthenticatedRequest,
    team: Team,
    form: InvitationForm,
    link: str = "",
    status: int = 200,
    *,
    was_sent: bool = False,
    team_form: TeamForm | None = None,
) -> HttpResponse:
    may_change = has_permission(request.user, team, "team")
    context = {
        "team": team,
        "form": form,
        "link": link,
        "was_sent": was_sent,
        "roles": Role.choices,
        "members": team.memberships.select_related("user").order_by("joined_at"),
        "invitations": Invitation.objects.open().filter(team=team) if may_change else [],
        "may_change": may_change,
        "is_owner": role_of(request.user, team) == Role.OWNER,
        "team_form": team_form or TeamForm(initial={"name": team.name}),
    }
    return render(request, "accounts/members.html", context, status=status)


@login_required
@require_safe
def members(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    return _render_members(request, find_team(request, slug), InvitationForm())


@login_required
@require_POST
@never_cache
def invite_member(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Shows the link in this response only: what is stored is its digest."""
    team = find_team(request, slug)
    require_permission(request.user, team, "team")
    form = InvitationForm(request.POST)
    if form.is_valid():
        with refusals_on(form):
            invitation, secret = membership.invite(team, request.user, **form.cleaned_data)
            link = request.build_absolute_uri(reverse("accounts:accept", args=[secret]))
            was_sent = invitation_email.send(invitation, link)
            return _render_members(request, team, InvitationForm(), link, was_sent=was_sent)
    return _render_members(request, team, form, status=status_of(form))


@login_required
@require_POST
def rename_team(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "team")
    form = TeamForm(request.POST)
    if not form.is_valid():
        return _render_members(request, team, InvitationForm(), status=400, team_form=form)
    audit.record(team, request.user, "team.renamed", form.cleaned_data["name"], old=team.name)
    Team.objects.filter(pk=team.pk).update(name=form.cleaned_data["name"])
    return redirect("accounts:members", team.slug)


@login_required
@require_POST
def change_role(request: AuthenticatedRequest, member_id: int) -> HttpResponse:
    member = _find_member(request, member_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise UserError("There is no such role.", param="role")
    membership.change_role(member, request.user, form.cleaned_data["role"])
    messages.success(request, f"{member.user} is now {member.get_role_display().lower()}.")
    return redirect("accounts:members", member.team.slug)


@login_required
@require_POST
def hand_over(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Make another member an owner in one's own place."""
    team = find_team(request, slug)
    require_permission(request.user, team, "team")
    require_typed_name(request, team.name)
    chosen = request.POST.get("member", "")
    members = team.memberships.select_related("user", "team")
    heir = get_object_or_404(members, pk=int(chosen) if chosen.isdecimal() else None)
    membership.hand_over(heir, request.user)
    messages.success(request, f"You handed {team} over to {heir.user} and are an admin now.")
    return redirect("accounts:members", team.slug)


@login_required
@require_POST
def remove_member(request: AuthenticatedRequest, member_id: int) -> HttpResponse:
    member = _find_member(request, member_id)
    membership.remove(member, request.user)
    if member.user_id == request.user.pk:
        messages.success(request, f"You have left {member.team}.")
        return redirect("accounts:settings")
    messages.success(request, f"{member.user} is no longer in the team.")
    return redirect("accounts:members", member.team.slug)


@login_required
@require_POST
def withdraw_invitation(request: AuthenticatedRequest, invitation_id: UUID) -> HttpResponse:
    invitation = get_object_or_404(Invitation.objects.visible_to(request.user), pk=invitation_id)
    membership.withdraw(invitation, request.user)
    return redirect("accounts:members", invitation.team.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def accept_invitation(request: AuthenticatedRequest, secret: str) -> HttpResponse:
    """Says who invites to what, to guests as well: they sign in or create an account from here."""
    invitation = membership.find_open_invitation(secret)
    if request.method == "POST" and request.user.is_authenticated:
        team = membership.accept(secret, request.user)
        messages.success(request, f"Welcome to {team}.")
        return redirect("projects:overview", team.slug)
    if not request.user.is_authenticated:
        request.session[INVITATION_SESSION_KEY] = secret
    context = {
        "invitation": invitation,
        "has_account": User.objects.filter(email__iexact=invitation.email).exists(),
        "query": urlencode({"email": invitation.email}),
    }
    return render(request, "accounts/join.html", context)


def _find_member(request: AuthenticatedRequest, member_id: int) -> Membership:
    """One's own membership, or one of a team that one may read."""
    seen = Q(team__in=request.user.team_ids()) | Q(user=request.user)
    rows = Membership.objects.filter(seen).select_related("team", "user")
    return get_object_or_404(rows, pk=member_id)
