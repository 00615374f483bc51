"""Pages for webhook endpoints and their deliveries. Only a team's admins see them."""

import json
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import find_team, require
from accounts.forms_notices import EndpointForm
from accounts.models import Team, User, WebhookDelivery, WebhookEndpoint
from accounts.signed_in import SignedInRequest
from accounts.webhooks import endpoints as deeds
from accounts.webhooks.delivering import channel_of
from web.live import stream

DELIVERIES_PER_PAGE = 25
USUAL_EVENTS = ["training_job.succeeded", "training_job.failed", "training_job.cancelled"]


def _find_admins_team(request: SignedInRequest, slug: str) -> Team:
    team = find_team(request, slug)
    require(request.user, team, "team")
    return team


def _find_endpoint(user: User | AnonymousUser, endpoint_id: UUID) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.kept().visible_to(user).select_related("team")
    endpoint = get_object_or_404(rows, pk=endpoint_id)
    assert isinstance(user, User)  # Strangers see no rows.
    require(user, endpoint.team, "team")
    return endpoint


@login_required
@require_safe
def webhooks(request: SignedInRequest, slug: str) -> HttpResponse:
    team = _find_admins_team(request, slug)
    rows = WebhookEndpoint.objects.kept().filter(team=team).order_by("created_at")
    return render(request, "accounts/webhooks.html", {"team": team, "endpoints": rows})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def create_webhook(request: SignedInRequest, slug: str) -> HttpResponse:
    """Shows the secret in the answer itself; no later page does."""
    team = _find_admins_team(request, slug)
    form = EndpointForm(request.POST or None, initial={"events": USUAL_EVENTS})
    if request.method == "POST" and form.is_valid():
        endpoint, secret = deeds.create(team, request.user, **form.cleaned_data)
        return _endpoint_page(request, endpoint, secret=secret)
    status = 400 if form.errors else 200
    return render(
        request, "accounts/webhook_create.html", {"team": team, "form": form}, status=status
    )


@login_required
@require_safe
def webhook(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    return _endpoint_page(request, _find_endpoint(request.user, endpoint_id))


def _endpoint_page(
    request: SignedInRequest,
    endpoint: WebhookEndpoint,
    *,
    secret: str = "",
    form: EndpointForm | None = None,
) -> HttpResponse:
    shown = {name: getattr(endpoint, name) for name in EndpointForm.base_fields}
    context = {
        "team": endpoint.team,
        "endpoint": endpoint,
        "secret": secret,
        "form": form or EndpointForm(initial=shown),
        "page": _deliveries(request, endpoint),
    }
    status = 400 if form is not None else 200
    return render(request, "accounts/webhook.html", context, status=status)


def _deliveries(request: HttpRequest, endpoint: WebhookEndpoint) -> object:
    rows = endpoint.deliveries.order_by("-created_at", "-pk").defer("body")
    return Paginator(rows, DELIVERIES_PER_PAGE).get_page(request.GET.get("page"))


@login_required
@require_safe
@never_cache
def webhook_log(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    """The deliveries alone, for a page that stays open."""
    endpoint = _find_endpoint(request.user, endpoint_id)
    context = {"endpoint": endpoint, "page": _deliveries(request, endpoint)}
    return render(request, "accounts/_deliveries.html", context)


@login_required
async def webhook_live(request: HttpRequest, endpoint_id: UUID) -> HttpResponseBase:
    """A stream that says "update" whenever something was sent."""
    user = await request.auser()
    return stream(channel_of(await sync_to_async(_find_endpoint)(user, endpoint_id)))


@login_required
@require_POST
def change_webhook(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    form = EndpointForm(request.POST)
    if not form.is_valid():
        return _endpoint_page(request, endpoint, form=form)
    deeds.change(endpoint, request.user, **form.cleaned_data)
    messages.success(request, "Saved.")
    return redirect("accounts:webhook", endpoint.pk)


@login_required
@require_POST
@never_cache
def rotate_webhook(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    return _endpoint_page(request, endpoint, secret=deeds.rotate(endpoint, request.user))


@login_required
@require_POST
def test_webhook(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    deeds.send_test(endpoint, request.user)
    messages.success(request, "A test event is on its way. Its outcome appears below.")
    return redirect("accounts:webhook", endpoint.pk)


@login_required
@require_POST
def switch_webhook(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    """Enable what is disabled when asked to, and the other way round."""
    endpoint = _find_endpoint(request.user, endpoint_id)
    deed = deeds.enable if request.POST.get("to") == "enabled" else deeds.disable
    deed(endpoint, request.user)
    return redirect("accounts:webhook", endpoint.pk)


@login_required
@require_POST
def delete_webhook(request: SignedInRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    deeds.delete(endpoint, request.user)
    messages.success(request, f"{endpoint} is deleted. Nothing more is sent there.")
    return redirect("accounts:webhooks", endpoint.team.slug)


def _find_delivery(request: SignedInRequest, delivery_id: UUID) -> WebhookDelivery:
    rows = WebhookDelivery.objects.visible_to(request.user).filter(endpoint__deleted_at=None)
    delivery = get_object_or_404(rows.select_related("endpoint__team"), pk=delivery_id)
    require(request.user, delivery.endpoint.team, "team")
    return delivery


@login_required
@require_safe
def delivery(request: SignedInRequest, delivery_id: UUID) -> HttpResponse:
    found = _find_delivery(request, delivery_id)
    context = {
        "team": found.endpoint.team,
        "endpoint": found.endpoint,
        "delivery": found,
        "pretty_body": json.dumps(json.loads(found.body), indent=2, ensure_ascii=False),
    }
    return render(request, "accounts/delivery.html", context)


@login_required
@require_POST
def redeliver(request: SignedInRequest, delivery_id: UUID) -> HttpResponse:
    found = _find_delivery(request, delivery_id)
    deeds.redeliver(found, request.user)
    messages.success(request, "Sending it again, under the same webhook-id.")
    return redirect("accounts:webhook", found.endpoint_id)
