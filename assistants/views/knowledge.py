"""Pages of an assistant's knowledge: answers, phrasings, sources and documents."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import require_permission
from assistants.forms.assistants import AnswerForm, DocumentForm, SourceForm, lines_of
from assistants.knowledge import answers, documents
from assistants.knowledge.importing import Mapping, add_source
from assistants.knowledge.phrasings import add_phrasing, remove_phrasing
from assistants.lifecycle import find_assistant
from assistants.models import Answer, Assistant, Phrasing, Source
from assistants.queries.listings import topics_with_counts
from assistants.review.gaps import close_gap, find_gap
from assistants.views.assistants import find_row, page_context
from web.requests import AuthenticatedRequest
from web.validation.values import parse_uuid

PAGE_ROWS = 50


@login_required
@require_safe
def knowledge(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Answers with their phrasings, and the datasets that they came from."""
    assistant = find_assistant(request.user, assistant_id)
    gap = find_gap(assistant, parse_uuid(request.GET.get("gap", "")))
    initial = {"gap": str(gap.first.pk), "questions": "\n".join(gap.questions)} if gap else {}
    form = AnswerForm(assistant, initial=initial)
    return _render(request, assistant, SourceForm(assistant), form)


@login_required
@require_POST
def add(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    form = SourceForm(assistant, request.POST)
    if not form.is_valid():
        return _render(request, assistant, form, AnswerForm(assistant))
    fields = form.cleaned_data
    mapping = Mapping(
        fields["question_column"], fields["answer_key_column"], fields["answer_column"]
    )
    source = add_source(
        assistant, fields["dataset"], mapping, request.user, is_approved=fields["approved"]
    )
    messages.success(request, f"Answers: {source.answers}. New questions: {source.phrasings}.")
    return redirect("assistants:knowledge", assistant.pk)


@login_required
@require_POST
def add_document(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    form = DocumentForm(assistant, request.POST)
    if not form.is_valid():
        return _render(request, assistant, SourceForm(assistant), AnswerForm(assistant), form)
    fields = form.cleaned_data
    source = documents.add_document(
        assistant, fields["document"], request.user, text_column=fields["text_column"]
    )
    messages.success(
        request,
        f"{'1 passage' if source.passages == 1 else f'{source.passages} passages'}, from the next"
        " version on.",
    )
    return redirect("assistants:knowledge", assistant.pk)


@login_required
@require_POST
def retire_source(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Retire a source: its passages are no longer quoted; answers from it stay."""
    source = find_row(request, Source, pk)
    documents.retire_source(source, request.user)
    return redirect("assistants:knowledge", source.assistant_id)


@login_required
@require_POST
def write(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    form = AnswerForm(assistant, request.POST)
    if not form.is_valid():
        return _render(request, assistant, SourceForm(assistant), form)
    fields = form.cleaned_data
    answer = answers.write_answer(
        assistant, fields["key"], fields["text"], fields["language"], request.user
    )
    answers.edit(answer, request.user, **form.changes())
    if gap := find_gap(assistant, parse_uuid(fields["gap"])):
        close_gap(assistant, gap, answer, request.user)
    for line in lines_of(fields["questions"]):
        add_phrasing(answer, line[:2000])
    messages.success(request, f"{answer.key} waits for approval.")
    return redirect("assistants:answer", answer.pk)


@login_required
def answer(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """One answer: its text and its phrasings."""
    answer = find_row(request, Answer, pk)
    form = AnswerForm(answer.assistant, request.POST or None, answer=answer)
    if request.method == "POST" and form.is_valid():
        fields = form.cleaned_data
        answers.edit(answer, request.user, **form.changes())
        for line in lines_of(fields["questions"]):
            add_phrasing(answer, line[:2000])
        return redirect("assistants:answer", answer.pk)
    context = {
        **page_context(request, answer.assistant),
        "answer": answer,
        "form": form,
        "phrasings": answer.phrasings.order_by("pk")[:500],
    }
    return render(request, "assistants/answer.html", context)


@login_required
@require_POST
def change_state(request: AuthenticatedRequest, pk: int, action: str) -> HttpResponse:
    """Approve or retire an answer."""
    answer = find_row(request, Answer, pk)
    actions = {"approve": answers.approve, "retire": answers.retire}
    if action not in actions:
        raise Http404
    actions[action](answer, request.user)
    return redirect("assistants:answer", answer.pk)


@login_required
@require_POST
def remove(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Remove a phrasing. Versions that learnt it keep it."""
    visible = Assistant.objects.visible_to(request.user)
    rows = Phrasing.objects.filter(answer__assistant__in=visible)
    phrasing = get_object_or_404(rows.select_related("answer__assistant__team"), pk=pk)
    require_permission(request.user, phrasing.answer.assistant.team, "write")
    remove_phrasing(phrasing, request.user)
    messages.success(request, "Removed. Versions that learnt it keep it; the next one does not.")
    return redirect("assistants:answer", phrasing.answer_id)


def _render(
    request: AuthenticatedRequest,
    assistant: Assistant,
    source_form: SourceForm,
    form: AnswerForm,
    document_form: DocumentForm | None = None,
) -> HttpResponse:
    page = Paginator(topics_with_counts(assistant), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        **page_context(request, assistant),
        "page": page,
        "sources": assistant.sources.select_related("dataset_version__dataset"),
        "source_form": source_form,
        "document_form": document_form or DocumentForm(assistant),
        "form": form,
    }
    return render(request, "assistants/knowledge.html", context)
