"""The settings page of an assistant."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render

from accounts.permissions import require_permission
from assistants.forms.settings import SettingsForm
from assistants.lifecycle import change_assistant, find_assistant
from assistants.views.assistants import page_context
from web.requests import AuthenticatedRequest


@login_required
def settings(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Promise, budget, retention, and who writes from documents."""
    assistant = find_assistant(request.user, assistant_id)
    if request.method == "POST":
        require_permission(request.user, assistant.team, "write")
    form = SettingsForm(assistant, request.POST or None)
    if request.method == "POST" and form.is_valid():
        change_assistant(assistant, request.user, **form.changes())
        messages.success(request, "Saved. The promise counts from the next version on.")
        return redirect("assistants:settings", assistant.pk)
    context = {**page_context(request, assistant), "form": form}
    return render(request, "assistants/settings.html", context)
