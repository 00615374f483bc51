"""Pages for notices: the bell, the list, which e-mails one wants, and how to stop them."""

from uuid import UUID

from asgiref.sync import sync_to_async
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

from accounts import inbox, wishes
from accounts.access import find_team
from accounts.forms_notices import WishesForm
from accounts.models import Group, Membership, Notice
from accounts.notices import channel_of
from accounts.signed_in import SignedInRequest
from web.live import stream

NOTICES_PER_PAGE = 30


@login_required
@require_safe
def notices(request: SignedInRequest, slug: str) -> HttpResponse:
    return render(request, "accounts/notices.html", _list_for(request, slug))


@login_required
@require_safe
@never_cache
def notice_rows(request: SignedInRequest, slug: str) -> HttpResponse:
    """The list alone, for a page that stays open."""
    return render(request, "accounts/_notices.html", _list_for(request, slug))


def _list_for(request: SignedInRequest, slug: str) -> dict[str, object]:
    member = _find_member(request, slug)
    rows = Notice.objects.shown_to(member).order_by("-created_at", "-pk")
    group = request.GET.get("group", "")
    if group in Group.values:
        rows = rows.filter(group=group)
    if only_unread := "unread" in request.GET:
        rows = rows.filter(pk__in=Notice.objects.unread_by(member).values("pk"))
    page = Paginator(rows, NOTICES_PER_PAGE).get_page(request.GET.get("page"))
    return {
        "team": member.team,
        "page": page,
        "groups": Group.choices,
        "group": group,
        "only_unread": only_unread,
        "query": request.GET.urlencode(),
    }


@login_required
@require_safe
@never_cache
def bell(request: SignedInRequest, slug: str) -> HttpResponse:
    member = _find_member(request, slug)
    context = {"unread": inbox.unread_count(member), "most": inbox.COUNTED}
    return render(request, "accounts/_bell.html", context)


@login_required
async def notices_live(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A stream that says "update" whenever the team is told something or somebody reads."""
    await request.auser()
    team = await sync_to_async(find_team)(request, slug)
    return stream(channel_of(team))


@login_required
@require_POST
def open_notice(request: SignedInRequest, notice_id: UUID) -> HttpResponse:
    """Mark it as read and go where it leads."""
    notice = get_object_or_404(
        Notice.objects.visible_to(request.user).select_related("team"), pk=notice_id
    )
    inbox.read(notice, _find_member(request, notice.team.slug))
    # Only ever a path of ours; whoever wrote the notice.
    if notice.url.startswith("/") and url_has_allowed_host_and_scheme(notice.url, None):
        return redirect(notice.url)
    return redirect("accounts:notices", notice.team.slug)


@login_required
@require_POST
def read_notices(request: SignedInRequest, slug: str) -> HttpResponse:
    inbox.read_all(_find_member(request, slug))
    return redirect("accounts:notices", slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def notice_settings(request: SignedInRequest, slug: str) -> HttpResponse:
    member = _find_member(request, slug)
    chosen = wishes.wishes_of(member) | {"pace": member.email_pace}
    form = WishesForm(request.POST or None, initial=chosen)
    if request.method == "POST" and form.is_valid():
        wishes.set_pace(member, form.cleaned_data.pop("pace"))
        wishes.choose(member, form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("accounts:notice-settings", slug)
    return render(request, "accounts/notice_settings.html", {"team": member.team, "form": form})


@csrf_exempt  # Mail programs post here with nothing but the link (RFC 8058).
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Stop one group of e-mails, or all. A GET only asks: link checkers follow every link."""
    found = wishes.read_unsubscribe_token(token)
    if found is None:
        raise Http404
    member, group = found
    if is_done := request.method == "POST":
        wishes.stop(member, group)
    context = {"member": member, "group": group, "is_done": is_done}
    return render(request, "accounts/unsubscribe.html", context)


def _find_member(request: SignedInRequest, slug: str) -> Membership:
    team = find_team(request, slug)
    return Membership.objects.select_related("team").get(team=team, user=request.user)
