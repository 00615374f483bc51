"""Pages of the inbox: conversations, their messages and decisions, and people's replies."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Team
from accounts.permissions import find_team, has_permission, require_permission
from assistants import delivery
from assistants.answering.suggestions import (
    find_question,
    find_usable_answer,
    search_answers,
    suggest_answers,
)
from assistants.consultations.originals import read_originals
from assistants.conversations import privacy, state, visitors
from assistants.conversations.notes import add_note
from assistants.conversations.readers import others_present, tell_present
from assistants.conversations.situations import read_captured
from assistants.errors import ConversationMovedOn
from assistants.models import Answer, Conversation, ConversationState, Message
from assistants.people import owners
from assistants.queries.corrections import judgements_of, versions_that_learnt
from assistants.queries.listings import groups_of, inbox_conversations
from assistants.review.replies import send_reply
from assistants.views.quality import judging_choices
from web.browser.details import tags_in
from web.requests import AuthenticatedRequest
from web.streams.event_stream import event_stream_response
from web.validation.values import parse_digits

SHOWN = 50


@login_required
@require_safe
def inbox(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug, "inbox")
    return render(request, "assistants/inbox.html", _lists_context(request, team))


@login_required
@require_safe
def lists(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """The three lists, as a fragment."""
    context = _lists_context(request, find_team(request, slug, "inbox"))
    return render(request, "assistants/_inbox_lists.html", context)


@login_required
@require_safe
def live(request: HttpRequest, slug: str) -> HttpResponseBase:
    """An event stream that says when a conversation of the team has changed."""
    team = find_team(request, slug, "inbox")
    return event_stream_response(request, request.user, f"inbox:{team.pk}")


@login_required
@require_POST
def take_next(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Take the conversation that has waited longest."""
    team = find_team(request, slug, "inbox")
    group = request.POST.get("group", "")[:40].replace("\0", "")
    conversation = state.take_oldest([team.pk], request.user, group=group)
    if conversation is None:
        messages.info(request, "Nobody waits.")
        return redirect("assistants:inbox", slug)
    return redirect("assistants:conversation", conversation.pk)


@login_required
@require_safe
def conversation(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    conversation = _find(request.user, conversation_id)
    return render(request, "assistants/conversation.html", _talk_context(request, conversation))


@login_required
@require_safe
def messages_of(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    """The messages with their decisions, and the form for a reply, as a fragment."""
    conversation = _find(request.user, conversation_id)
    return render(request, "assistants/_talk.html", _talk_context(request, conversation))


@login_required
@require_safe
def reply_form(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    """The form for a reply, filled with the answer ?answer=KEY, as a fragment."""
    conversation = _find(request.user, conversation_id)
    chosen = _chosen_answer(request, conversation)
    context = {
        "conversation": conversation,
        "chosen": chosen,
        "prefilled": chosen.text if chosen else "",
    }
    return render(request, "assistants/_reply_form.html", context)


@login_required
@require_safe
def find_answers(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    """Approved answers with the words ?q=, as a fragment."""
    conversation = _find(request.user, conversation_id)
    rows = search_answers(conversation.channel.assistant, request.GET.get("q", ""))
    context = {"conversation": conversation, "found_answers": rows}
    return render(request, "assistants/_found_answers.html", context)


@login_required
@require_safe
def presence(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    """Who else has the page open, as a fragment. The request marks its sender as present."""
    conversation = _find(request.user, conversation_id)
    tell_present(conversation, request.user)
    context = {"others": others_present(conversation, request.user)}
    return render(request, "assistants/_presence.html", context)


@login_required
@require_safe
def conversation_live(request: HttpRequest, conversation_id: UUID) -> HttpResponseBase:
    """An event stream that says when the conversation has changed."""
    _find(request.user, conversation_id)
    return event_stream_response(request, request.user, f"conversation:{conversation_id}")


@login_required
@require_POST
def act(request: AuthenticatedRequest, conversation_id: UUID, action: str) -> HttpResponse:
    """Take, take over or give, reply, return to the assistant, close, note, block or unblock."""
    conversation = _find(request.user, conversation_id)
    if action not in ACTIONS:
        raise Http404
    ACTIONS[action](request, conversation)
    return redirect("assistants:conversation", conversation.pk)


@login_required
@require_safe
def export_visitor(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    """What is kept of whoever writes there, as a file."""
    conversation = _find_for_privacy(request, conversation_id)
    assistant = conversation.channel.assistant
    rows = privacy.export_visitors(assistant, privacy.visitors_in(conversation), request.user)
    response = JsonResponse({"conversations": rows}, json_dumps_params={"ensure_ascii": False})
    response["Content-Disposition"] = f'attachment; filename="{assistant.name}-visitor.json"'
    return response


@login_required
@require_POST
def erase_visitor(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    conversation = _find_for_privacy(request, conversation_id)
    assistant = conversation.channel.assistant
    count = privacy.erase_visitors(assistant, privacy.visitors_in(conversation), request.user)
    if count == 1:
        messages.success(request, "The visitor is erased, with 1 conversation.")
    else:
        messages.success(request, f"The visitor is erased, with {count} conversations.")
    return redirect("assistants:inbox", assistant.team.slug)


def _find_for_privacy(request: AuthenticatedRequest, conversation_id: UUID) -> Conversation:
    """For owners and admins."""
    conversation = _find(request.user, conversation_id)
    require_permission(request.user, conversation.channel.assistant.team, "team")
    return conversation


@login_required
@require_POST
def send_again(
    request: AuthenticatedRequest, conversation_id: UUID, message_id: int
) -> HttpResponse:
    """Send a reply again that did not reach the visitor."""
    conversation = _find(request.user, conversation_id)
    delivery.send_again(conversation, message_id)
    return redirect("assistants:conversation", conversation.pk)


def _close(request: AuthenticatedRequest, conversation: Conversation) -> None:
    resolved = request.POST.get("resolved") == "yes"
    outcome = Conversation.Outcome.RESOLVED if resolved else Conversation.Outcome.UNRESOLVED
    state.close(conversation, outcome, request.user)


def _block(request: AuthenticatedRequest, conversation: Conversation) -> None:
    until = visitors.block(conversation, request.POST.get("period", ""), request.user)
    if until == visitors.FOR_GOOD:
        messages.success(request, "What this visitor writes is refused from now on.")
    else:
        messages.success(request, f"What this visitor writes is refused until {until:%Y-%m-%d}.")


def _reply(request: AuthenticatedRequest, conversation: Conversation) -> None:
    """Send the form's text, with the answer it was made from and the question that it answers."""
    send_reply(
        conversation,
        request.user,
        request.POST.get("text", ""),
        answer_key=request.POST.get("answer", "")[:200],
        question_seq=parse_digits(request.POST.get("question", ""), 8),
    )


def _assign(request: AuthenticatedRequest, conversation: Conversation) -> None:
    """Let somebody answer, or oneself, instead of who has it by the page."""
    if request.POST.get("from", "") != str(conversation.assignee_id):
        raise ConversationMovedOn
    owners.hand_to(conversation, request.user, request.POST.get("to", "")[:254])


Action = Callable[[AuthenticatedRequest, Conversation], object]
ACTIONS: dict[str, Action] = {
    "take": lambda request, conversation: state.take(conversation, request.user),
    "assign": _assign,
    "reply": _reply,
    "return": lambda request, conversation: state.return_to_bot(conversation, request.user),
    "close": _close,
    "note": lambda request, conversation: add_note(
        conversation, request.user, request.POST.get("text", "")
    ),
    "block": _block,
    "unblock": lambda request, conversation: visitors.unblock(conversation, request.user),
}


def _chosen_answer(request: AuthenticatedRequest, conversation: Conversation) -> Answer | None:
    key = request.GET.get("answer", "")[:200]
    return find_usable_answer(conversation.channel.assistant, key) if key else None


def _draft_for(question: Message | None) -> str:
    """The assistant's draft of a reply, where it may not reply itself; "" without one."""
    decision = getattr(question, "decision", None)
    return decision.draft if decision else ""


def _find(user: object, conversation_id: UUID) -> Conversation:
    visible = Conversation.objects.visible_to(user, "inbox")
    return get_object_or_404(
        visible.select_related("channel__assistant__team", "assignee", "visitor"),
        pk=conversation_id,
    )


def _lists_context(request: AuthenticatedRequest, team: Team) -> dict[str, object]:
    tagged = inbox_conversations(team)
    tag, group = (request.GET.get(name, "")[:40].replace("\0", "") for name in ("tag", "group"))
    rows = tagged.filter(tags__contains=[tag]) if tag else tagged
    rows = rows.filter(handed_over_group=group) if group else rows
    return {
        "group": group,
        "groups": groups_of(team),
        "tag": tag,
        "tags": tags_in(tagged),
        "team": team,
        "waiting": rows.filter(state="waiting").order_by("handed_over_at")[:SHOWN],
        "mine": rows.filter(state="human", assignee=request.user)[:SHOWN],
        "others": rows.exclude(state="waiting").exclude(assignee=request.user)[:SHOWN],
    }


def _talk_context(request: AuthenticatedRequest, conversation: Conversation) -> dict[str, object]:
    team = conversation.channel.assistant.team
    history = conversation.messages.select_related(
        "person", "delivery", "decision__judgement__answer", "decision__judgement__person",
        "decision__judgement__used_in",
    ).order_by("seq")  # fmt: skip
    is_mine = (
        conversation.assignee_id == request.user.pk
        and conversation.state == ConversationState.HUMAN
    )
    question = find_question(conversation) if is_mine else None
    chosen = _chosen_answer(request, conversation)
    text = request.GET.get("q", "")
    may_change = has_permission(request.user, team, "write")
    return {
        "team": team,
        "may_change": may_change,
        "may_erase": has_permission(request.user, team, "team"),
        **(judging_choices(conversation.channel.assistant) if may_change else {}),
        "conversation": conversation,
        "assistant": conversation.channel.assistant,
        "history": history,
        "originals": read_originals(history),
        "learnt_in": versions_that_learnt(conversation.channel.assistant, judgements_of(history)),
        "is_mine": is_mine,
        "colleagues": [one for one in owners.inbox_people(team) if one != conversation.assignee],
        "captured": read_captured(conversation),
        "moves": conversation.moves.select_related("person"),
        "notes": conversation.notes.select_related("person"),
        "for_good": visitors.FOR_GOOD,
        "question": question,
        "suggestions": suggest_answers(conversation.channel.assistant, question)
        if question
        else [],
        "chosen": chosen,
        "prefilled": chosen.text if chosen else _draft_for(question),
        "text": text,
        "found_answers": search_answers(conversation.channel.assistant, text) if is_mine else [],
    }
