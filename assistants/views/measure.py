"""The measure page: what a promise costs, on questions nobody fitted."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from assistants.lifecycle import find_assistant
from assistants.loop import shadow
from assistants.models import Assistant, Version, VersionStatus
from assistants.views.assistants import find_to_change, page_context
from web.requests import AuthenticatedRequest

SHADOW_QUESTIONS = 100
LOWEST, HIGHEST = 80, 99  # Percent.


@login_required
@require_safe
def measure(request: AuthenticatedRequest, assistant_id: UUID, number: int) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id)
    version = _find_version(assistant, number)
    context = {
        **page_context(request, assistant),
        "version": version,
        "reports": version.report,
        "lowest": LOWEST,
        "highest": HIGHEST,
        "comparison": shadow.compare(version),
        "may_shadow": version.status in (VersionStatus.MEASURED, VersionStatus.RETIRED),
        "is_shadow": assistant.shadow_version_id == version.pk and assistant.shadow_left > 0,
        **_promise_context(version, round(version.promise * 100)),
    }
    return render(request, "assistants/measure.html", context)


@login_required
@require_POST
def start_shadow(request: AuthenticatedRequest, assistant_id: UUID, number: int) -> HttpResponse:
    """Let the version decide the next questions, too, without saying anything."""
    assistant = find_to_change(request, assistant_id)
    shadow.start(_find_version(assistant, number), SHADOW_QUESTIONS, request.user)
    messages.success(request, f"It decides the next {SHADOW_QUESTIONS} questions in shadow.")
    return redirect("assistants:measure", assistant.pk, number)


@login_required
@require_safe
def promise(request: AuthenticatedRequest, assistant_id: UUID, number: int) -> HttpResponse:
    """What another promise would give, as a fragment."""
    version = _find_version(find_assistant(request.user, assistant_id), number)
    text = request.GET.get("promise", "")
    percent = int(text) if text.isascii() and text.isdigit() else round(version.promise * 100)
    context = _promise_context(version, max(LOWEST, min(HIGHEST, percent)))
    return render(request, "assistants/_promise.html", {"version": version, **context})


def _find_version(assistant: Assistant, number: int) -> Version:
    return get_object_or_404(Version, assistant=assistant, number=min(number, 2**31 - 1))


def _promise_context(version: Version, percent: int) -> dict[str, object]:
    """The lowest threshold of each language's curve whose bound reaches the promise."""
    lines = []
    for language, report in version.report.items():
        kept = [point for point in report["curve"] if point["bound"] * 100 >= percent]
        point = max(kept, key=lambda point: point["answered"]) if kept else None
        lines.append({"language": language, "report": report, **_of_a_hundred(point)})
    return {"percent": percent, "lines": lines}


def _of_a_hundred(point: dict[str, Any] | None) -> dict[str, object]:
    if point is None:
        return {"point": None}
    answered = round(point["answered"] * 100)
    return {
        "point": point,
        "answered": answered,
        "wrong": max(1, round(answered * (1 - point["precision"]))) if answered else 0,
        "others": 100 - answered,
    }
