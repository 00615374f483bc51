"""Pages of rules: their order, one of them, and a question to try them with."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.permissions import require_permission
from assistants.answering.masking import mask
from assistants.conversations.consulting import clean_text
from assistants.errors import AssistantNameTaken, InvalidRule
from assistants.forms.rules import RuleForm
from assistants.lifecycle import find_assistant
from assistants.models import Assistant, Rule
from assistants.rules.wording import action_in_words, conditions_in_words
from assistants.versions.ruling import (
    add_rule,
    change_rule,
    delete_rule,
    find_swallowed,
    move_rule,
    try_question,
)
from assistants.views.assistants import find_row, page_context
from web.language.sentences import without_field_name
from web.requests import AuthenticatedRequest


@login_required
def rules(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """The rules in their order, and a form for a new one."""
    assistant = find_assistant(request.user, assistant_id)
    form = RuleForm(assistant, request.POST or None)
    if request.method == "POST":
        require_permission(request.user, assistant.team, "write")
        if form.is_valid() and _save(form, assistant, request.user):
            messages.success(request, "Added. It counts from the next version on.")
            return redirect("assistants:rules", assistant.pk)
    return _render(request, assistant, form)


@login_required
def rule(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """One rule, to change it."""
    rule = find_row(request, Rule, pk)
    form = RuleForm(rule.assistant, request.POST or None, rule=rule)
    if form.is_bound and form.is_valid() and _save(form, rule.assistant, request.user, rule):
        messages.success(request, "Saved. It counts from the next version on.")
        return redirect("assistants:rules", rule.assistant_id)
    context = {**page_context(request, rule.assistant), "rule": rule, "form": form}
    return render(request, "assistants/rule.html", context)


@login_required
@require_POST
def act(request: AuthenticatedRequest, pk: int, action: str) -> HttpResponse:
    """Move a rule up or down, turn it on or off, or delete it."""
    rule = find_row(request, Rule, pk)
    if action not in ACTIONS:
        raise Http404
    ACTIONS[action](rule, request.user)
    return redirect("assistants:rules", rule.assistant_id)


@login_required
@require_POST
def try_rules(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """Which rule of this page decides a question. Nothing is stored."""
    assistant = find_assistant(request.user, assistant_id, "write")
    text = clean_text(request.POST.get("text", ""))
    context = {"question": mask(text), "ruling": try_question(assistant, text)}
    if request.htmx:
        return render(request, "assistants/_ruling.html", context)
    return _render(request, assistant, RuleForm(assistant), **context)


ACTIONS: dict[str, Callable[[Rule, User], None]] = {
    "up": lambda rule, by: move_rule(rule, by, up=True),
    "down": lambda rule, by: move_rule(rule, by, up=False),
    "on": lambda rule, by: change_rule(rule, by, enabled=True),
    "off": lambda rule, by: change_rule(rule, by, enabled=False),
    "delete": delete_rule,
}


def _save(form: RuleForm, assistant: Assistant, by: User, rule: Rule | None = None) -> bool:
    """Save a new or changed rule; False, with an error on the form, where it is not valid."""
    try:
        if rule is None:
            add_rule(assistant, by, **form.spec())
        else:
            change_rule(rule, by, **form.spec())
    except (InvalidRule, AssistantNameTaken) as problem:
        fields = {"then": "value", "when": "says_any"}
        name = fields.get(problem.param or "", problem.param)
        if name in form.fields:
            form.add_error(name, without_field_name(problem.sentence))
        else:
            form.add_error(None, problem.sentence)
        return False
    return True


def _render(
    request: AuthenticatedRequest, assistant: Assistant, form: RuleForm, **more: object
) -> HttpResponse:
    rows = list(assistant.rules.all())
    context = {
        **page_context(request, assistant),
        "rows": [(row, conditions_in_words(row.when), action_in_words(row.then)) for row in rows],
        "swallowed": find_swallowed(assistant),
        "form": form,
        **more,
    }
    return render(request, "assistants/rules.html", context)
