"""The search over everything of a team."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.permissions import find_team
from inference.queries.search import search
from web.requests import AuthenticatedRequest


@login_required
@require_safe
def search_page(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """The results, as a fragment for the search dialog or as a page."""
    team = find_team(request, slug)
    text = request.GET.get("q", "")
    context = {"team": team, "text": text, "results": search(team, text, request.user)}
    template = "inference/_search_results.html" if request.htmx else "inference/search.html"
    return render(request, template, context)
