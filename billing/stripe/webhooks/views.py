"""The two addresses that Stripe posts to: A for snapshot events, B for thin ones."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.models import WebhookEvent
from billing.stripe import gateway
from billing.stripe.dtos import StripeEventData
from billing.stripe.errors import BadSignature, StripeDisabled
from billing.stripe.webhooks.inbox import receive

EventParser = Callable[[bytes, str | None, list[str]], StripeEventData]


@csrf_exempt
@require_POST
def snapshot(request: HttpRequest) -> HttpResponse:
    """Endpoint A."""
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    return _receive(request, gateway.construct_event, secrets, WebhookEvent.Endpoint.SNAPSHOT)


@csrf_exempt
@require_POST
def thin(request: HttpRequest) -> HttpResponse:
    """Endpoint B."""
    secrets = settings.STRIPE_THIN_WEBHOOK_SECRETS
    return _receive(request, gateway.parse_thin_event, secrets, WebhookEvent.Endpoint.THIN)


def _receive(
    request: HttpRequest, read: EventParser, secrets: list[str], endpoint: WebhookEvent.Endpoint
) -> HttpResponse:
    """Plain words: who reads them reads them in Stripe's dashboard."""
    try:
        event = read(request.body, request.headers.get("Stripe-Signature"), secrets)
    except (BadSignature, StripeDisabled) as refusal:
        return HttpResponse(refusal.sentence, status=400, content_type="text/plain")
    receive(event, endpoint)
    return HttpResponse("kept", content_type="text/plain")
