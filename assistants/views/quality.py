"""Pages of test cases and the review of decisions."""

from contextlib import suppress
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.permissions import require_permission
from assistants.errors import InvalidConsultation
from assistants.forms.assistants import TestCaseForm
from assistants.lifecycle import find_assistant
from assistants.models import Answer, Assistant, Decision, Judgement, TestCase, VersionStatus
from assistants.models.quality import VERDICT_WORDS
from assistants.queries.corrections import count_corrections
from assistants.queries.test_runs import compare_runs, versions_to_test
from assistants.review.gaps import LOOKED_BACK, find_gaps
from assistants.review.judging import judge
from assistants.review.replies import dismiss_reply, draft_answer, pending_replies
from assistants.versions import gate
from assistants.versions.testing import run_tests
from assistants.views.assistants import find_row, page_context
from web.requests import AuthenticatedRequest

AUDITS_SHOWN = 20
REPLIES_SHOWN = 50
GAPS_SHOWN = 50


@login_required
def test_cases(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """The test cases, and the results of the live and the newest version."""
    assistant = find_assistant(request.user, assistant_id)
    form = TestCaseForm(assistant, request.POST or None)
    if request.method == "POST":
        require_permission(request.user, assistant.team, "write")
        if form.is_valid():
            fields = dict(form.cleaned_data)
            TestCase.objects.update_or_create(
                assistant=assistant, question=fields.pop("question"), defaults=fields
            )
            return redirect("assistants:tests", assistant.pk)
    versions = versions_to_test(assistant)
    context = {
        **page_context(request, assistant),
        **compare_runs(assistant),
        "can_run": versions,
        "candidate": next(
            (version for version in versions if version.status == VersionStatus.MEASURED), None
        ),
        "live_version": next(
            (version for version in versions if version.status == VersionStatus.LIVE), None
        ),
        "form": form,
    }
    return render(request, "assistants/tests.html", context)


@login_required
@require_POST
def run_cases(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Run the test cases by the live version and the newest one, and show whether the gate would
    let the newest one go live."""
    assistant = find_assistant(request.user, assistant_id, "write")
    for version in versions_to_test(assistant):
        if version.status == VersionStatus.LIVE:
            run_tests(version)
            continue
        reasons = gate.judge(version).reasons
        if not reasons:
            messages.success(request, f"The gate lets version {version.number} go live.")
        else:
            messages.warning(request, f"The gate refuses version {version.number}:")
        for reason in reasons:
            messages.warning(request, reason)
    return redirect("assistants:tests", assistant.pk)


@login_required
@require_POST
def delete_case(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    case = find_row(request, TestCase, pk)
    audit.record(case.assistant.team, request.user, "assistant.test-deleted", case.question[:80])
    case.delete()
    return redirect("assistants:tests", case.assistant_id)


@login_required
@require_safe
def review(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """The random audit, what visitors said no to, gaps in the knowledge, people's own replies, and
    how many corrections were learnt."""
    assistant = find_assistant(request.user, assistant_id, "inbox")
    unjudged = Decision.objects.filter(message__channel__assistant=assistant).exclude(
        judgement__by_visitor=False
    )
    rows = unjudged.select_related("message", "reply")
    context = {
        **page_context(request, assistant),
        # What visitors said of it takes nothing out of the sample.
        "audit": rows.filter(for_audit=True)[:AUDITS_SHOWN],
        "said_no": rows.filter(
            judgement__by_visitor=True, judgement__verdict=Judgement.Verdict.WRONG
        )[:AUDITS_SHOWN],
        "gaps": find_gaps(assistant)[:GAPS_SHOWN],
        "replies": pending_replies(assistant)[:REPLIES_SHOWN],
        "corrections": count_corrections(assistant),
        "is_building": assistant.versions.filter(status=VersionStatus.BUILDING).exists(),
        **judging_choices(assistant),
    }
    return render(request, "assistants/review.html", context)


def judging_choices(assistant: Assistant) -> dict[str, object]:
    """What the form of a judgement offers."""
    return {
        "answers": assistant.answers.exclude(state=Answer.State.RETIRED).order_by("key"),
        "verdicts": list(VERDICT_WORDS.items()),
    }


@login_required
@require_POST
def judge_decision(request: AuthenticatedRequest, decision_id: UUID) -> HttpResponse:
    visible = Decision.objects.filter(
        message__channel__assistant__team__in=request.user.team_ids()
    ).select_related("message__channel__assistant__team")
    decision = get_object_or_404(visible, pk=decision_id)
    assistant = decision.message.channel.assistant
    require_permission(request.user, assistant.team, "write")
    verdict = request.POST.get("verdict", "")
    if verdict not in Judgement.Verdict.values:
        raise InvalidConsultation("Choose a verdict.", param="verdict")
    alike = visible.filter(
        pk__in=_uuids(request.POST.getlist("also")), message__channel__assistant=assistant
    )
    for judged in [decision, *alike]:
        judge(
            assistant, judged.pk, verdict, request.user,
            answer_key=request.POST.get("answer", "")[:200], is_audit=judged.for_audit,
        )  # fmt: skip
    messages.success(request, "Judged.")
    if request.POST.get("from") == "conversation":
        return redirect("assistants:conversation", decision.message.conversation_id)
    return redirect("assistants:review", assistant.pk)


def _uuids(texts: list[str]) -> list[UUID]:
    """The valid ids among the first LOOKED_BACK texts."""
    ids = []
    for text in texts[:LOOKED_BACK]:
        with suppress(ValueError):
            ids.append(UUID(text))
    return ids


@login_required
@require_POST
def review_reply(request: AuthenticatedRequest, pk: int, action: str) -> HttpResponse:
    """Make a draft of an answer from a person's reply, or dismiss the reply."""
    visible = Judgement.objects.visible_to(request.user, "inbox")
    rows = visible.select_related("decision__message__channel__assistant__team")
    judgement = get_object_or_404(rows, pk=pk)
    assistant = judgement.decision.message.channel.assistant
    require_permission(request.user, assistant.team, "write")
    if action == "draft":
        answer = draft_answer(assistant, judgement.pk, request.user)
        messages.success(request, f"{answer.key} waits for approval.")
        return redirect("assistants:answer", answer.pk)
    if action != "dismiss":
        raise Http404
    dismiss_reply(assistant, judgement.pk, request.user)
    messages.success(request, "Dismissed.")
    return redirect("assistants:review", assistant.pk)
