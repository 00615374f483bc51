"""Pages for a team's members and the links that invite them."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit, membership
from accounts.access import can, find_team, require
from accounts.forms import InvitationForm, RoleForm, TeamForm, team_form
from accounts.models import Invitation, Membership, Role, Team
from accounts.signed_in import SignedInRequest
from web.errors import UserError


def _members_page(
    request: SignedInRequest, team: Team, form: InvitationForm, link: str = "", status: int = 200
) -> HttpResponse:
    may_change = can(request.user, team, "team")
    context = {
        "team": team,
        "form": form,
        "link": link,
        "roles": Role.choices,
        "members": team.memberships.select_related("user").order_by("joined_at"),
        "invitations": Invitation.objects.open().filter(team=team) if may_change else [],
        "may_change": may_change,
        "team_form": team_form(team),
    }
    return render(request, "accounts/members.html", context, status=status)


@login_required
@require_safe
def members(request: SignedInRequest, slug: str) -> HttpResponse:
    return _members_page(request, find_team(request, slug), InvitationForm())


@login_required
@require_POST
@never_cache
def invite(request: SignedInRequest, slug: str) -> HttpResponse:
    """Shows the link in the answer itself: only its digest is stored."""
    team = find_team(request, slug)
    require(request.user, team, "team")
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _members_page(request, team, form, status=400)
    _, secret = membership.invite(team, request.user, **form.cleaned_data)
    link = request.build_absolute_uri(reverse("accounts:accept", args=[secret]))
    return _members_page(request, team, InvitationForm(), link)


@login_required
@require_POST
def rename(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "team")
    form = TeamForm(request.POST)
    if not form.is_valid():
        raise UserError("A team name has 1 to 80 characters.", param="name")
    audit.record(team, request.user, "team.renamed", form.cleaned_data["name"], old=team.name)
    Team.objects.filter(pk=team.pk).update(name=form.cleaned_data["name"])
    return redirect("accounts:members", team.slug)


@login_required
@require_POST
def role(request: SignedInRequest, member_id: int) -> HttpResponse:
    member = _find_member(request, member_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise UserError("There is no such role.", param="role")
    membership.change_role(member, request.user, form.cleaned_data["role"])
    messages.success(request, f"{member.user} is now {member.get_role_display().lower()}.")
    return redirect("accounts:members", member.team.slug)


@login_required
@require_POST
def remove(request: SignedInRequest, member_id: int) -> HttpResponse:
    member = _find_member(request, member_id)
    membership.remove(member, request.user)
    if member.user_id == request.user.pk:
        messages.success(request, f"You have left {member.team}.")
        return redirect("accounts:settings")
    messages.success(request, f"{member.user} is no longer in the team.")
    return redirect("accounts:members", member.team.slug)


@login_required
@require_POST
def withdraw(request: SignedInRequest, invitation_id: UUID) -> HttpResponse:
    invitation = get_object_or_404(Invitation.objects.visible_to(request.user), pk=invitation_id)
    membership.withdraw(invitation, request.user)
    return redirect("accounts:members", invitation.team.slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: SignedInRequest, secret: str) -> HttpResponse:
    invitation = membership.open_invitation(secret)
    if request.method == "POST":
        team = membership.accept(secret, request.user)
        messages.success(request, f"Welcome to {team}.")
        return redirect("projects:overview", team.slug)
    return render(request, "accounts/join.html", {"invitation": invitation})


def _find_member(request: HttpRequest, member_id: int) -> Membership:
    teams = Team.objects.visible_to(request.user)
    return get_object_or_404(
        Membership.objects.filter(team__in=teams).select_related("team", "user"), pk=member_id
    )
