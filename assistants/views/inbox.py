"""The inbox: who waits, who answers, what was said and why."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Team
from accounts.permissions import find_team
from assistants.conversations import state
from assistants.conversations.consulting import clean_text
from assistants.models import Conversation
from assistants.queries.listings import inbox_conversations
from web.requests import AuthenticatedRequest
from web.streams.event_stream import event_stream_response

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
async def live(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Says when a conversation of the team changed."""
    user = await request.auser()

    team = await sync_to_async(find_team)(request, slug, "inbox")
    return event_stream_response(request, user, f"inbox:{team.pk}")


@login_required
@require_POST
def take_next(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Take the conversation that waits longest."""
    team = find_team(request, slug, "inbox")
    taken = state.take_oldest([team.pk], request.user)
    if taken is None:
        messages.info(request, "Nobody waits.")
        return redirect("assistants:inbox", slug)
    return redirect("assistants:conversation", taken.pk)


@login_required
@require_safe
def conversation(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    found = _find(request.user, conversation_id)
    return render(request, "assistants/conversation.html", _talk_context(request, found))


@login_required
@require_safe
def messages_of(request: AuthenticatedRequest, conversation_id: UUID) -> HttpResponse:
    """What was said and why, as a fragment."""
    found = _find(request.user, conversation_id)
    return render(request, "assistants/_messages.html", _talk_context(request, found))


@login_required
@require_safe
async def conversation_live(request: HttpRequest, conversation_id: UUID) -> HttpResponseBase:
    """Says when something was said."""
    user = await request.auser()
    await sync_to_async(_find)(user, conversation_id)
    return event_stream_response(request, user, f"conversation:{conversation_id}")


@login_required
@require_POST
def act(request: AuthenticatedRequest, conversation_id: UUID, action: str) -> HttpResponse:
    """Take, reply, return to the assistant, or close."""
    found = _find(request.user, conversation_id)
    person = request.user
    if action == "take":
        state.take(found, person)
    elif action == "reply":
        state.reply(found, person, clean_text(request.POST.get("text", "")))
    elif action == "return":
        state.return_to_bot(found, person)
    elif action == "close":
        resolved = request.POST.get("resolved") == "yes"
        outcome = Conversation.Outcome.RESOLVED if resolved else Conversation.Outcome.UNRESOLVED
        state.close(found, outcome)
    else:
        raise Http404
    return redirect("assistants:conversation", found.pk)


def _find(user: object, conversation_id: UUID) -> Conversation:
    visible = Conversation.objects.visible_to(user, "inbox")
    return get_object_or_404(
        visible.select_related("channel__assistant__team", "assignee"), pk=conversation_id
    )


def _lists_context(request: AuthenticatedRequest, team: Team) -> dict[str, object]:
    rows = inbox_conversations(team)
    return {
        "team": team,
        "waiting": rows.filter(state="waiting").order_by("handed_over_at")[:SHOWN],
        "mine": rows.filter(state="human", assignee=request.user)[:SHOWN],
        "others": rows.exclude(state="waiting").exclude(assignee=request.user)[:SHOWN],
    }


def _talk_context(request: AuthenticatedRequest, found: Conversation) -> dict[str, object]:
    team = found.channel.assistant.team
    said = found.messages.select_related("decision", "person").order_by("seq")
    return {
        "team": team,
        "conversation": found,
        "assistant": found.channel.assistant,
        "said": said,
        "is_mine": found.assignee_id == request.user.pk,
    }
