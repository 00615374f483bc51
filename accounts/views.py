"""Pages for API tokens and the audit log."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import tokens as token_deeds
from accounts.access import can, find_team, require
from accounts.forms import ApiTokenForm
from accounts.models import ApiToken, AuditEntry, Team
from accounts.signed_in import SignedInRequest

ENTRIES_PER_PAGE = 50


def _tokens_page(
    request: SignedInRequest, team: Team, form: ApiTokenForm, secret: str = "", status: int = 200
) -> HttpResponse:
    rows = ApiToken.objects.filter(team=team).select_related("created_by")
    context = {
        "team": team,
        "form": form,
        "secret": secret,
        "tokens": rows.order_by("revoked_at", "-created_at"),
        "may_create": can(request.user, team, "tokens"),
        "may_revoke_all": can(request.user, team, "team"),
        "origin": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "accounts/tokens.html", context, status=status)


@login_required
@require_safe
def tokens(request: SignedInRequest, slug: str) -> HttpResponse:
    return _tokens_page(request, find_team(request, slug), ApiTokenForm())


@login_required
@require_POST
@never_cache
def create_token(request: SignedInRequest, slug: str) -> HttpResponse:
    """Shows the secret in the answer itself: it is stored nowhere, so no later page could."""
    team = find_team(request, slug)
    require(request.user, team, "tokens")
    form = ApiTokenForm(request.POST)
    if not form.is_valid():
        return _tokens_page(request, team, form, status=400)
    wanted = form.cleaned_data
    _, secret = token_deeds.issue(
        team,
        request.user,
        name=wanted["name"],
        scopes=wanted["scopes"],
        expires_at=form.expires_at(),
    )
    return _tokens_page(request, team, ApiTokenForm(), secret)


@login_required
@require_POST
def revoke_token(request: SignedInRequest, token_id: UUID) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.visible_to(request.user), pk=token_id)
    token_deeds.revoke(token, request.user)
    messages.success(request, f"{token.name} no longer works.")
    return redirect("accounts:tokens", token.team.slug)


@login_required
@require_safe
def audit_log(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "team")
    rows = AuditEntry.objects.filter(team=team).order_by("-at", "-pk")
    page = Paginator(rows, ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/audit.html", {"team": team, "page": page})
