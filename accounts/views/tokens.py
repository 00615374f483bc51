"""Pages for API tokens and the audit log."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.audit_log import AuditFilter, csv_parts
from accounts.forms.tokens import ApiTokenForm, EditTokenForm, RotateTokenForm
from accounts.models import ApiToken, AuditEntry, Team
from accounts.permissions import find_team, has_permission, require_permission
from accounts.tokens import issue, require_control, revoke, rotate, spent_this_month, update
from web.requests import AuthenticatedRequest
from web.streams.detached import DetachedResponse
from web.streams.downloads import parts_download

ENTRIES_PER_PAGE = 50


def _render_tokens(
    request: AuthenticatedRequest,
    team: Team,
    form: ApiTokenForm,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    rows = ApiToken.objects.filter(team=team).select_related("created_by")
    listed, spent = list(rows.order_by("revoked_at", "-created_at")), spent_this_month(team)
    for token in listed:
        token.spent_micro = spent.get(token.prefix, 0)
    context = {
        "team": team,
        "form": form,
        "secret": secret,
        "overlaps": RotateTokenForm.OVERLAPS,
        "tokens": listed,
        "may_create": has_permission(request.user, team, "tokens"),
        "may_revoke_all": has_permission(request.user, team, "team"),
        "origin": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "accounts/tokens.html", context, status=status)


@login_required
@require_safe
def tokens(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    return _render_tokens(request, find_team(request, slug), ApiTokenForm())


@login_required
@require_POST
@never_cache
def create_token(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Shows the secret in this response only: it is stored nowhere, so no later page could."""
    team = find_team(request, slug)
    require_permission(request.user, team, "tokens")
    form = ApiTokenForm(request.POST)
    if not form.is_valid():
        return _render_tokens(request, team, form, status=400)
    _, secret = issue(
        team,
        request.user,
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"],
        expires_at=form.expires_at(),
        limits=form.limits(),
    )
    return _render_tokens(request, team, ApiTokenForm(), secret)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_token(request: AuthenticatedRequest, token_id: UUID) -> HttpResponse:
    """What a token may do, and until when, after it was created."""
    tokens_seen = ApiToken.objects.visible_to(request.user).select_related("team", "created_by")
    token = get_object_or_404(tokens_seen, pk=token_id)
    require_control(token, request.user)
    form = EditTokenForm(token, request.POST or None)
    if not form.is_valid():
        context = {"team": token.team, "token": token, "form": form}
        status = 400 if form.is_bound else 200
        return render(request, "accounts/token.html", context, status=status)
    update(
        token,
        request.user,
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"],
        expires_at=form.expires_at(),
        limits=form.limits(),
    )
    messages.success(request, f"{form.cleaned_data['name']} is changed.")
    return redirect("accounts:tokens", token.team.slug)


@login_required
@require_POST
@never_cache
def rotate_token(request: AuthenticatedRequest, token_id: UUID) -> HttpResponse:
    """Shows the new secret, likewise in this response only."""
    token = get_object_or_404(ApiToken.objects.visible_to(request.user), pk=token_id)
    require_control(token, request.user)
    form = RotateTokenForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how long the former secret shall go on working.")
        return redirect("accounts:tokens", token.team.slug)
    secret = rotate(token, request.user, form.overlap())
    return _render_tokens(request, token.team, ApiTokenForm(), secret)


@login_required
@require_POST
def revoke_token(request: AuthenticatedRequest, token_id: UUID) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.visible_to(request.user), pk=token_id)
    revoke(token, request.user)
    messages.success(request, f"{token.name} no longer works.")
    return redirect("accounts:tokens", token.team.slug)


@login_required
@require_safe
def audit_log(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "team")
    chosen = AuditFilter.from_query(request.GET)
    rows = chosen.apply(AuditEntry.objects.filter(team=team)).order_by("-at", "-pk")
    page = Paginator(rows, ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    actions = AuditEntry.objects.filter(team=team).order_by("action")
    context = {
        "team": team,
        "page": page,
        "chosen": chosen,
        "query": chosen.as_query(),
        "actions": list(actions.values_list("action", flat=True).distinct()),
    }
    return render(request, "accounts/audit.html", context)


@login_required
@require_safe
def audit_csv(request: AuthenticatedRequest, slug: str) -> DetachedResponse:
    """The entries of the present filter as a file."""
    team = find_team(request, slug)
    require_permission(request.user, team, "team")
    rows = AuditFilter.from_query(request.GET).apply(AuditEntry.objects.filter(team=team))
    return parts_download(csv_parts(rows), f"audit-{team.slug}.csv", "text/csv")
