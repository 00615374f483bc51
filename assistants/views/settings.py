"""The settings page of an assistant."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.permissions import require_permission
from assistants.forms.settings import SettingsForm
from assistants.forms.words import WordsForm
from assistants.lifecycle import (
    change_assistant,
    find_assistant,
    restore_assistant,
    retire_assistant,
)
from assistants.models import Assistant
from assistants.queries.uses import what_stops_with
from assistants.views.assistants import page_context
from web.browser.confirmation import require_typed_name
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest


@login_required
def settings(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Promise, budget, retention, and the model that writes from documents."""
    assistant = find_assistant(request.user, assistant_id)
    if request.method == "POST":
        require_permission(request.user, assistant.team, "write")
    form = SettingsForm(assistant, request.POST or None)
    if request.method == "POST" and form.is_valid():
        change_assistant(assistant, request.user, **form.changes())
        messages.success(
            request, "Saved. The promise and who writes count from the next version on."
        )
        return redirect("assistants:settings", assistant.pk)
    return _render(request, assistant, form=form)


@login_required
@require_POST
def words(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Languages, opening hours, and the assistant's own words."""
    assistant = find_assistant(request.user, assistant_id, "write")
    form = WordsForm(assistant, request.POST)
    if not form.is_valid():
        return _render(request, assistant, words_form=form)
    change_assistant(assistant, request.user, **form.changes())
    messages.success(request, "Saved.")
    return redirect("assistants:settings", assistant.pk)


@login_required
@require_POST
def retire(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Retire the assistant, which then answers nobody any more."""
    assistant = find_assistant(request.user, assistant_id, "write")
    require_typed_name(request, assistant.name)
    retire_assistant(assistant, request.user)
    messages.success(request, f"{assistant.name} is in the trash for {TRASH_DAYS} days.")
    return redirect("assistants:assistants", assistant.team.slug)


@login_required
@require_POST
def restore(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    restore_assistant(assistant, request.user)
    if assistant.state == Assistant.State.PAUSED:
        messages.success(request, f"{assistant.name} is back. It answers once you resume it.")
    else:
        messages.success(request, f"{assistant.name} is back.")
    return redirect("assistants:assistant", assistant.pk)


def _render(
    request: AuthenticatedRequest,
    assistant: Assistant,
    form: SettingsForm | None = None,
    words_form: WordsForm | None = None,
) -> HttpResponse:
    context = {
        **page_context(request, assistant),
        "form": form or SettingsForm(assistant),
        "words_form": words_form or WordsForm(assistant),
        "stops": what_stops_with(assistant),
        "trash_days": TRASH_DAYS,
    }
    return render(request, "assistants/settings.html", context)
