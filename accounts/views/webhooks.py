"""Pages for webhook endpoints and their deliveries. Only a team's admins see them."""

import json
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.notifications import WebhookEndpointForm
from accounts.models import Team, User, WebhookDelivery, WebhookEndpoint
from accounts.notifications.events import initial_webhook_events
from accounts.permissions import find_team, require_permission
from accounts.webhooks import endpoints
from accounts.webhooks.delivery import deliveries_channel
from web.browser.refusals import refusals_on, status_of
from web.requests import AuthenticatedRequest
from web.streams.event_stream import event_stream_response

DELIVERIES_PER_PAGE = 25


def _find_team_as_admin(request: AuthenticatedRequest, slug: str) -> Team:
    team = find_team(request, slug)
    require_permission(request.user, team, "team")
    return team


def _find_endpoint(user: User | AnonymousUser, endpoint_id: UUID) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.not_deleted().visible_to(user).select_related("team")
    endpoint = get_object_or_404(rows, pk=endpoint_id)
    assert isinstance(user, User)  # Strangers see no rows.
    require_permission(user, endpoint.team, "team")
    return endpoint


@login_required
@require_safe
def webhooks(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = _find_team_as_admin(request, slug)
    rows = WebhookEndpoint.objects.not_deleted().filter(team=team).order_by("created_at")
    return render(request, "accounts/webhooks.html", {"team": team, "endpoints": rows})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def create_webhook(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Shows the secret in this response only."""
    team = _find_team_as_admin(request, slug)
    form = WebhookEndpointForm(request.POST or None, initial={"events": initial_webhook_events()})
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            endpoint, secret = endpoints.create(team, request.user, **form.cleaned_data)
            return _render_endpoint(request, endpoint, secret=secret)
    status = status_of(form)
    return render(
        request, "accounts/webhook_create.html", {"team": team, "form": form}, status=status
    )


@login_required
@require_safe
def webhook(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    return _render_endpoint(request, _find_endpoint(request.user, endpoint_id))


def _render_endpoint(
    request: AuthenticatedRequest,
    endpoint: WebhookEndpoint,
    *,
    secret: str = "",
    form: WebhookEndpointForm | None = None,
) -> HttpResponse:
    initial = {name: getattr(endpoint, name) for name in WebhookEndpointForm.base_fields}
    context = {
        "team": endpoint.team,
        "endpoint": endpoint,
        "secret": secret,
        "form": form or WebhookEndpointForm(initial=initial),
        "page": _deliveries_page(request, endpoint),
    }
    status = status_of(form) if form is not None else 200
    return render(request, "accounts/webhook.html", context, status=status)


def _deliveries_page(request: HttpRequest, endpoint: WebhookEndpoint) -> object:
    rows = endpoint.deliveries.order_by("-created_at", "-pk").defer("body")
    return Paginator(rows, DELIVERIES_PER_PAGE).get_page(request.GET.get("page"))


@login_required
@require_safe
@never_cache
def webhook_log(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    """The deliveries alone, for a page that stays open."""
    endpoint = _find_endpoint(request.user, endpoint_id)
    context = {"endpoint": endpoint, "page": _deliveries_page(request, endpoint)}
    return render(request, "accounts/_deliveries.html", context)


@login_required
def webhook_live(request: HttpRequest, endpoint_id: UUID) -> HttpResponseBase:
    """A stream that says "update" whenever something was sent."""
    endpoint = _find_endpoint(request.user, endpoint_id)
    return event_stream_response(request, request.user, deliveries_channel(endpoint))


@login_required
@require_POST
def change_webhook(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    form = WebhookEndpointForm(request.POST)
    if form.is_valid():
        with refusals_on(form):
            endpoints.update(endpoint, request.user, **form.cleaned_data)
            messages.success(request, "Saved.")
            return redirect("accounts:webhook", endpoint.pk)
    return _render_endpoint(request, endpoint, form=form)


@login_required
@require_POST
@never_cache
def rotate_webhook(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    return _render_endpoint(
        request, endpoint, secret=endpoints.rotate_secret(endpoint, request.user)
    )


@login_required
@require_POST
def test_webhook(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    endpoints.send_test(endpoint, request.user)
    messages.success(request, "A test event is on its way. Its outcome appears below.")
    return redirect("accounts:webhook", endpoint.pk)


@login_required
@require_POST
def switch_webhook(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    """Enable or disable the endpoint, as the button says."""
    endpoint = _find_endpoint(request.user, endpoint_id)
    switch = endpoints.enable if request.POST.get("to") == "enabled" else endpoints.disable
    switch(endpoint, request.user)
    return redirect("accounts:webhook", endpoint.pk)


@login_required
@require_POST
def delete_webhook(request: AuthenticatedRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find_endpoint(request.user, endpoint_id)
    endpoints.delete(endpoint, request.user)
    messages.success(request, f"{endpoint} is deleted. Nothing more is sent there.")
    return redirect("accounts:webhooks", endpoint.team.slug)


def _find_delivery(request: AuthenticatedRequest, delivery_id: UUID) -> WebhookDelivery:
    rows = WebhookDelivery.objects.visible_to(request.user).filter(endpoint__deleted_at=None)
    delivery = get_object_or_404(rows.select_related("endpoint__team"), pk=delivery_id)
    require_permission(request.user, delivery.endpoint.team, "team")
    return delivery


@login_required
@require_safe
def delivery(request: AuthenticatedRequest, delivery_id: UUID) -> HttpResponse:
    row = _find_delivery(request, delivery_id)
    context = {
        "team": row.endpoint.team,
        "endpoint": row.endpoint,
        "delivery": row,
        "pretty_body": json.dumps(json.loads(row.body), indent=2, ensure_ascii=False),
    }
    return render(request, "accounts/delivery.html", context)


@login_required
@require_POST
def redeliver(request: AuthenticatedRequest, delivery_id: UUID) -> HttpResponse:
    row = _find_delivery(request, delivery_id)
    endpoints.redeliver(row, request.user)
    messages.success(request, "Sending it again, under the same webhook-id.")
    return redirect("accounts:webhook", row.endpoint_id)
