"""Pages of assistants: list, overview, versions, and a chat to try one."""

from typing import Any, TypeVar
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import find_team, has_permission, require_permission
from assistants.answering.deciding import decide
from assistants.answering.language import detect_language
from assistants.answering.masking import mask
from assistants.conversations.consulting import clean_text
from assistants.errors import AssistantNotLive
from assistants.forms.assistants import AssistantForm
from assistants.lifecycle import create_assistant, find_assistant, set_paused
from assistants.models import (
    Answer,
    Assistant,
    Decision,
    Rule,
    Source,
    TestCase,
    Version,
    VersionStatus,
)
from assistants.people.opening_hours import is_open
from assistants.queries.corrections import count_corrections
from assistants.queries.listings import list_assistants, topics_with_counts
from assistants.rules.matching import Awaited, Situation
from assistants.versions import building, gate
from assistants.writing.writers import configured, settings_of
from projects.lifecycle import create_project
from web.requests import AuthenticatedRequest
from web.streams.event_stream import event_stream_response

Row = TypeVar("Row", Answer, Rule, Source, TestCase)
SO_FAR, SO_FAR_SECONDS = "assistants.try", 3600


@login_required
@require_safe
def assistant_list(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context = {
        "team": team,
        "rows": list_assistants(team),
        "may_change": has_permission(request.user, team, "write"),
    }
    return render(request, "assistants/assistants.html", context)


@login_required
def create(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "write")
    form = AssistantForm(team, request.POST or None)
    if request.method == "POST" and form.is_valid():
        fields = dict(form.cleaned_data)
        name, project = fields.pop("name"), fields.pop("project")
        with transaction.atomic():
            project = project or create_project(team, name, request.user)
            assistant = create_assistant(project, name, request.user, **fields)
        return redirect("assistants:knowledge", assistant.pk)
    return render(request, "assistants/create.html", {"team": team, "form": form})


@login_required
@require_safe
def assistant_detail(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id)
    topics = topics_with_counts(assistant)
    context = {
        **page_context(request, assistant),
        **_versions_context(assistant),
        "answers": len(topics),
        "thin": [
            topic
            for topic in topics
            if topic.phrasing_count < 3  # type: ignore[attr-defined]
        ],
        "channels": assistant.channels.filter(disabled_at=None),
    }
    return render(request, "assistants/assistant.html", context)


@login_required
@require_safe
def versions(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """The versions, as a fragment."""
    assistant = find_assistant(request.user, assistant_id)
    context = {**page_context(request, assistant), **_versions_context(assistant)}
    return render(request, "assistants/_versions.html", context)


@login_required
@require_safe
def live(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponseBase:
    """An event stream that says when the assistant or its versions have changed."""
    find_assistant(request.user, assistant_id)
    return event_stream_response(request, request.user, f"assistant:{assistant_id}")


@login_required
@require_POST
def build(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    version = building.create_version(assistant, request.user, train_classifier=True)
    messages.success(request, f"Version {version.number} is being built.")
    return redirect("assistants:assistant", assistant.pk)


@login_required
@require_POST
def publish(request: AuthenticatedRequest, assistant_id: UUID, number: int) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    version = get_object_or_404(Version, assistant=assistant, number=number)
    gate.publish(version, request.user, why_worse=request.POST.get("why_worse", "")[:500])
    if assistant.state == Assistant.State.PAUSED:
        messages.success(request, f"Version {number} answers once you resume the assistant.")
    else:
        messages.success(request, f"Version {number} answers now.")
    return redirect("assistants:assistant", assistant.pk)


@login_required
@require_POST
def roll_back(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    version = gate.roll_back(assistant, request.user)
    if assistant.state == Assistant.State.PAUSED:
        messages.success(
            request, f"Version {version.number} answers once you resume the assistant."
        )
    else:
        messages.success(request, f"Version {version.number} answers again.")
    return redirect("assistants:assistant", assistant.pk)


@login_required
@require_POST
def pause(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    set_paused(assistant, assistant.state == Assistant.State.LIVE, request.user)
    return redirect("assistants:assistant", assistant.pk)


@login_required
def try_it(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """A question and the whole decision about it. Nothing is stored and nobody is notified."""
    assistant = find_assistant(request.user, assistant_id)
    context: dict[str, object] = page_context(request, assistant)
    if request.method == "POST":
        require_permission(request.user, assistant.team, "write")
        so_far = _read_so_far(request.POST.get("so_far", ""))
        context |= _try_question(assistant, request.POST.get("text", ""), so_far)
    template = "assistants/_trace.html" if request.htmx else "assistants/try.html"
    return render(request, template, context)


def _try_question(assistant: Assistant, text: str, so_far: dict[str, Any]) -> dict[str, object]:
    """The decision of the live version, else of the newest measured one. `so_far`: the state of the
    conversation, which the page sends along as nothing is stored."""
    measured = assistant.versions.filter(status__in=["live", "measured"])
    version = measured.order_by("status", "-number").select_related("assistant").first()
    if version is None:
        raise AssistantNotLive("Build a version first; then questions can be tried.")
    original = clean_text(text)
    masked = mask(original)
    language = detect_language(masked, assistant.languages)
    awaited, captured = so_far.get("awaited"), so_far.get("captured", {})
    situation = Situation(
        text=masked,
        language=language,
        is_open=is_open(assistant, now()),
        original=original,
        captured=captured,
        awaited=Awaited(**awaited) if awaited else None,
    )
    outcome = decide(version, situation, asked_back=bool(so_far.get("asked_back")))
    captured = {**captured, **outcome.captured}
    remembered = {
        "awaited": vars(outcome.awaited) if outcome.awaited else None,
        "captured": captured,
        "asked_back": outcome.route == Decision.Route.ASK,
    }
    return {
        "question": masked,
        "outcome": outcome,
        "version": version,
        "language": outcome.language or language,
        "captured": captured,
        "so_far": signing.dumps(remembered, salt=SO_FAR),
    }


def _read_so_far(signed: str) -> dict[str, Any]:
    """The state that the page sent along; {} where it is too old or not signed by us."""
    try:
        return dict(signing.loads(signed, salt=SO_FAR, max_age=SO_FAR_SECONDS))
    except signing.BadSignature:
        return {}


def find_row(request: AuthenticatedRequest, kind: type[Row], pk: int) -> Row:
    """A row of an assistant that the user may see, with the assistant and its team. Raises Http404,
    and for a POST the refusal of a user who may not change it."""
    visible = Assistant.objects.visible_to(request.user)
    rows = kind._default_manager.filter(assistant__in=visible).select_related("assistant__team")
    row: Row = get_object_or_404(rows, pk=pk)
    if request.method == "POST":
        require_permission(request.user, row.assistant.team, "write")
    return row


def page_context(request: AuthenticatedRequest, assistant: Assistant) -> dict[str, object]:
    """The context that all pages of an assistant need."""
    return {
        "team": assistant.team,
        "assistant": assistant,
        "may_change": has_permission(request.user, assistant.team, "write"),
        "may_see_texts": has_permission(request.user, assistant.team, "inbox"),
    }


def _versions_context(assistant: Assistant) -> dict[str, object]:
    rows = list(assistant.versions.select_related("job", "dataset_version__dataset")[:20])
    corrections = count_corrections(assistant)
    live = next((row for row in rows if row.status == VersionStatus.LIVE), None)
    for row in rows:
        row.assistant = assistant
    return {
        "writers": {row.number: settings_of(row) for row in rows},
        "is_writer_changed": bool(rows)
        and not settings_of(rows[0]).writes_like(configured(assistant)),
        "corrections": corrections,
        "learnt": {learnt.version.number: learnt.count for learnt in corrections.learnt},
        "versions": rows,
        "live_version": live,
        "has_previous": any(row.status == VersionStatus.RETIRED for row in rows),
        "is_building": any(row.status == VersionStatus.BUILDING for row in rows),
        "can_build": Answer.objects.filter(assistant=assistant, state="approved").exists(),
    }
