"""Pages for notices: the bell, the list, e-mail preferences and unsubscribing."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.notifications import EmailPreferencesForm
from accounts.models import EventGroup, Membership, Notice, is_shown_to
from accounts.notifications import preferences, read_state
from accounts.notifications.publish import notices_channel
from accounts.permissions import find_own_team
from web.requests import AuthenticatedRequest
from web.streams.event_stream import event_stream_response

NOTICES_PER_PAGE = 30
NOTICES_OF_BELL = 5


@login_required
@require_safe
def notices(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    return render(request, "accounts/notices.html", _list_context(request, slug))


@login_required
@require_safe
@never_cache
def notice_rows(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """The list alone, for a page that stays open."""
    return render(request, "accounts/_notices.html", _list_context(request, slug))


def _list_context(request: AuthenticatedRequest, slug: str) -> dict[str, object]:
    member = _find_member(request, slug)
    rows = Notice.objects.with_read_state(member).order_by("-created_at", "-pk")
    group = request.GET.get("group", "")
    if group in EventGroup.values:
        rows = rows.filter(group=group)
    if only_unread := "unread" in request.GET:
        rows = rows.filter(pk__in=Notice.objects.unread_by(member).values("pk"))
    page = Paginator(rows, NOTICES_PER_PAGE).get_page(request.GET.get("page"))
    return {
        "team": member.team,
        "page": page,
        "groups": [one for one in EventGroup.choices if is_shown_to(member.role, one[0])],
        "group": group,
        "only_unread": only_unread,
        "query": request.GET.urlencode(),
    }


@login_required
@require_safe
@never_cache
def bell(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    member = _find_member(request, slug)
    context = {"unread": read_state.count_unread(member), "most": read_state.MAX_UNREAD_COUNT}
    return render(request, "accounts/_bell.html", context)


@login_required
@require_safe
@never_cache
def latest_notices(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """What opens below the bell."""
    member = _find_member(request, slug)
    rows = Notice.objects.with_read_state(member).order_by("-created_at", "-pk")
    context = {"team": member.team, "notices": rows[:NOTICES_OF_BELL]}
    return render(request, "accounts/_latest_notices.html", context)


@login_required
def notices_live(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A stream that says "update" whenever a notice appears or is read."""
    team = find_own_team(request, slug)
    return event_stream_response(request, request.user, notices_channel(team))


@login_required
@require_POST
def open_notice(request: AuthenticatedRequest, notice_id: UUID) -> HttpResponse:
    """Mark it as read and go where it leads."""
    notice = get_object_or_404(Notice.objects.select_related("team"), pk=notice_id)
    member = _find_member(request, notice.team.slug)
    get_object_or_404(Notice.objects.shown_to(member), pk=notice_id)
    read_state.mark_read(notice, member)
    # Never to another host, whoever wrote the notice.
    if notice.url.startswith("/") and url_has_allowed_host_and_scheme(notice.url, None):
        return redirect(notice.url)
    return redirect("accounts:notices", notice.team.slug)


@login_required
@require_POST
def mark_notices_read(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    read_state.mark_all_read(_find_member(request, slug))
    return redirect("accounts:notices", slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def notice_settings(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    member = _find_member(request, slug)
    chosen = preferences.preferences_of(member)
    initial = chosen | {"pace": member.email_pace}
    form = EmailPreferencesForm(chosen, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        preferences.set_frequency(member, form.cleaned_data.pop("pace"))
        preferences.set_preferences(member, form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("accounts:notice-settings", slug)
    is_reachable = Membership.objects.reachable().filter(pk=member.pk).exists()
    context = {"team": member.team, "form": form, "is_reachable": is_reachable}
    return render(request, "accounts/notice_settings.html", context)


@csrf_exempt  # Mail programs post here with nothing but the link (RFC 8058).
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Stop one group of e-mails, or all. A GET changes nothing: link checkers follow every link."""
    payload = preferences.read_unsubscribe_token(token)
    if payload is None:
        raise Http404
    member, group = payload
    if is_done := request.method == "POST":
        preferences.unsubscribe(member, group)
    context = {"member": member, "group": group, "is_done": is_done}
    return render(request, "accounts/unsubscribe.html", context)


def _find_member(request: AuthenticatedRequest, slug: str) -> Membership:
    team = find_own_team(request, slug)
    return Membership.objects.select_related("team").get(team=team, user=request.user)
