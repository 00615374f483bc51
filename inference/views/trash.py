"""What a team removed in the last thirty days, and can bring back."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.permissions import find_team, has_permission
from inference.queries.trash import list_trash
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest


@login_required
@require_safe
def trash(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context = {
        "team": team,
        "items": list_trash(team),
        "trash_days": TRASH_DAYS,
        "may_write": has_permission(request.user, team, "write"),
    }
    return render(request, "inference/trash.html", context)
