"""What a team's admins do with webhook endpoints and deliveries."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.errors import DeliveryInProgress, EndpointDisabled, TooManyEndpoints
from accounts.models import ApiToken, Team, User, WebhookDelivery, WebhookEndpoint
from accounts.permissions import has_permission, require_permission
from accounts.webhooks import payloads, signing
from accounts.webhooks.delivery import deliveries_channel
from accounts.webhooks.secret_encryption import encrypt
from accounts.webhooks.ssrf_guard import validate_webhook_url
from web.enqueue import enqueue_on_commit
from web.errors import NotAllowed
from web.rate_limits.actions import require_rate
from web.sse import notify

MAX_ENDPOINTS_PER_TEAM = 20
SECRET_OVERLAP = timedelta(days=1)  # How long the old secret signs too after a rotation.

Actor = User | ApiToken


def require_admin(actor: Actor, team: Team) -> None:
    """Raise NotAllowed for anyone but the team's admins and their tokens that may write."""
    if isinstance(actor, ApiToken):
        require_permission(actor, team, "write")
        require_creator_is_admin(actor)
    else:
        require_permission(actor, team, "team")


def require_creator_is_admin(token: ApiToken) -> None:
    """Raise NotAllowed when the token's creator may not do this themselves."""
    if not has_permission(token.created_by, token.team, "team"):
        raise NotAllowed("Only tokens created by an owner or admin of the team may do this.")


@transaction.atomic
def create(
    team: Team, actor: Actor, *, url: str, events: list[str], description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its secret, shown this once. Raises InvalidWebhookUrl or TooManyEndpoints."""
    require_admin(actor, team)
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)  # For the count to hold.
    if WebhookEndpoint.objects.not_deleted().filter(team=team).count() >= MAX_ENDPOINTS_PER_TEAM:
        raise TooManyEndpoints
    secret = signing.generate_secret()
    endpoint = WebhookEndpoint.objects.create(
        team=team,
        url=validate_webhook_url(url),
        events=events,
        description=description,
        sealed_secret=encrypt(secret),
    )
    audit.record(team, actor, "webhook.created", endpoint.url, endpoint=str(endpoint.pk))
    return endpoint, secret


@transaction.atomic
def update(endpoint: WebhookEndpoint, actor: Actor, **fields: Any) -> None:
    """Change url, description or events. Deliveries that wait go to the new URL."""
    require_admin(actor, endpoint.team)
    if "url" in fields:
        fields["url"] = validate_webhook_url(fields["url"])
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**fields)
    endpoint.refresh_from_db()
    audit.record(endpoint.team, actor, "webhook.changed", endpoint.url, **fields)


@transaction.atomic
def rotate_secret(endpoint: WebhookEndpoint, actor: Actor) -> str:
    """A new secret; for a day each delivery is signed with both."""
    require_admin(actor, endpoint.team)
    secret = signing.generate_secret()
    locked = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        sealed_secret=encrypt(secret),
        old_sealed_secret=locked.sealed_secret,
        old_secret_until=now() + SECRET_OVERLAP,
    )
    endpoint.refresh_from_db()
    audit.record(endpoint.team, actor, "webhook.secret_rotated", endpoint.url)
    return secret


@transaction.atomic
def disable(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Send nothing more; what waits is kept for when it is enabled again."""
    require_admin(actor, endpoint.team)
    enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if enabled.update(disabled_at=now(), disabled_reason=""):
        audit.record(endpoint.team, actor, "webhook.disabled", endpoint.url)
    endpoint.refresh_from_db()


@transaction.atomic
def enable(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Send again; earlier failures no longer count."""
    require_admin(actor, endpoint.team)
    disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False)
    if disabled.update(disabled_at=None, disabled_reason="", failing_since=None):
        audit.record(endpoint.team, actor, "webhook.enabled", endpoint.url)
        enqueue_on_commit("accounts.tasks.deliver_webhooks")
    endpoint.refresh_from_db()


@transaction.atomic
def delete(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Delete the endpoint and its secrets; deliveries that wait are not sent."""
    require_admin(actor, endpoint.team)
    deleted = {
        "disabled_at": now(),
        "deleted_at": now(),
        "sealed_secret": "",
        "old_sealed_secret": "",
    }
    if WebhookEndpoint.objects.not_deleted().filter(pk=endpoint.pk).update(**deleted):
        endpoint.deliveries.filter(next_at__isnull=False).update(
            next_at=None, failed_at=now(), error="The endpoint was deleted."
        )
        audit.record(endpoint.team, actor, "webhook.deleted", endpoint.url)


@transaction.atomic
def send_test(endpoint: WebhookEndpoint, actor: Actor) -> WebhookDelivery:
    """Queue an event of type webhook.test. Raises EndpointDisabled."""
    require_admin(actor, endpoint.team)
    require_rate("webhook_tests", endpoint.team_id)
    if not endpoint.is_enabled:
        raise EndpointDisabled
    event, event_id, body = payloads.build_test_event(int(now().timestamp()))
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint, event=event, event_id=event_id, body=body
    )
    notify(deliveries_channel(endpoint))
    enqueue_on_commit("accounts.tasks.deliver_webhooks")
    return delivery


@transaction.atomic
def redeliver(delivery: WebhookDelivery, actor: Actor) -> None:
    """Send it again now, under the same webhook-id, whether or not it arrived before."""
    require_rate("webhook_tests", delivery.endpoint.team_id)
    require_admin(actor, delivery.endpoint.team)
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=delivery.endpoint_id)
    if not endpoint.is_enabled:
        raise EndpointDisabled
    again = {"next_at": now(), "delivered_at": None, "failed_at": None, "attempts": 0}
    # Resetting a delivery in flight would lose the outcome of its attempt.
    if not WebhookDelivery.objects.filter(pk=delivery.pk).not_in_flight().update(**again):
        raise DeliveryInProgress
    delivery.refresh_from_db()
    notify(deliveries_channel(endpoint))
    enqueue_on_commit("accounts.tasks.deliver_webhooks")
