"""The page of a version's measurement: how many questions are answered at each promise, measured on
questions that were not used for fitting."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from assistants.lifecycle import find_assistant
from assistants.models import Assistant, Version, VersionStatus
from assistants.queries.promise_curves import best_point, draw, reweigh, rounded
from assistants.versions import shadow
from assistants.views.assistants import page_context
from web.requests import AuthenticatedRequest
from web.validation.values import parse_digits

SHADOW_QUESTIONS = 100
LOWEST, HIGHEST = 80, 99  # The promise: percent of answers that are right.
FEWEST, MOST = 1, 60  # Percent of questions that are out of scope.


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
        "fewest": FEWEST,
        "most": MOST,
        "comparison": shadow.compare(version),
        "may_shadow": version.status in (VersionStatus.MEASURED, VersionStatus.RETIRED),
        "is_shadow": assistant.shadow_version_id == version.pk and assistant.shadow_left > 0,
        **_promise_context(
            version, round(version.promise * 100), round(version.out_of_scope_share * 100)
        ),
    }
    return render(request, "assistants/measure.html", context)


@login_required
@require_POST
def start_shadow(request: AuthenticatedRequest, assistant_id: UUID, number: int) -> HttpResponse:
    """Let the version also decide the next questions, without replying."""
    assistant = find_assistant(request.user, assistant_id, "write")
    shadow.start(_find_version(assistant, number), SHADOW_QUESTIONS, request.user)
    messages.success(request, f"It decides the next {SHADOW_QUESTIONS} questions in shadow.")
    return redirect("assistants:measure", assistant.pk, number)


@login_required
@require_safe
def promise(request: AuthenticatedRequest, assistant_id: UUID, number: int) -> HttpResponse:
    """The figures of another promise, as a fragment."""
    version = _find_version(find_assistant(request.user, assistant_id), number)
    percent = _percent(request, "promise", version.promise)
    share = _percent(request, "share", version.out_of_scope_share)
    context = _promise_context(
        version, max(LOWEST, min(HIGHEST, percent)), max(FEWEST, min(MOST, share))
    )
    return render(request, "assistants/_promise.html", {"version": version, **context})


def _percent(request: AuthenticatedRequest, name: str, otherwise: float) -> int:
    percent = parse_digits(request.GET.get(name, "")[:4])
    return round(otherwise * 100) if percent is None else percent


def _find_version(assistant: Assistant, number: int) -> Version:
    return get_object_or_404(Version, assistant=assistant, number=min(number, 2**31 - 1))


def _promise_context(version: Version, percent: int, share: int) -> dict[str, object]:
    """For each language, the figures of a promise of `percent`, if `share` percent of questions
    were out of scope."""
    live = Version.objects.filter(
        assistant=version.assistant_id, status=VersionStatus.LIVE
    ).exclude(pk=version.pk).first()  # fmt: skip
    lines = []
    for language, report in version.report.items():
        curve = [
            reweigh(point, version.out_of_scope_share, share / 100) for point in report["curve"]
        ]
        before = live.report.get(language, {}).get("curve", []) if live else []
        lines.append(
            {
                "language": language,
                "report": report,
                "chart": draw(curve, before, percent / 100),
                **rounded(best_point(curve, percent / 100)),
            }
        )
    is_estimated = share != round(version.out_of_scope_share * 100)
    return {
        "percent": percent, "share": share, "lines": lines, "is_estimated": is_estimated,
        "live": live,
    }  # fmt: skip
