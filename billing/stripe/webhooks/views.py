"""The two endpoints that Stripe posts events to: snapshot events and thin events."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.models import WebhookEvent
from billing.stripe import gateway
from billing.stripe.errors import BadSignature, StripeDisabled
from billing.stripe.webhooks.inbox import receive


@csrf_exempt
@require_POST
def snapshot(request: HttpRequest) -> HttpResponse:
    """The endpoint for snapshot events."""
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    return _receive(request, "construct_event", secrets, WebhookEvent.Endpoint.SNAPSHOT)


@csrf_exempt
@require_POST
def thin(request: HttpRequest) -> HttpResponse:
    """The endpoint for thin events."""
    secrets = settings.STRIPE_THIN_WEBHOOK_SECRETS
    return _receive(request, "parse_event_notification", secrets, WebhookEvent.Endpoint.THIN)


def _receive(
    request: HttpRequest, reader: str, secrets: list[str], endpoint: WebhookEvent.Endpoint
) -> HttpResponse:
    """Verify and store an event. Answers are plain text, as they are read in Stripe's dashboard."""
    try:
        signature = request.headers.get("Stripe-Signature")
        event = gateway.verify_event(request.body, signature, secrets, reader)
    except (BadSignature, StripeDisabled) as refusal:
        return HttpResponse(refusal.sentence, status=400, content_type="text/plain")
    receive([event], endpoint)
    return HttpResponse("kept", content_type="text/plain")
