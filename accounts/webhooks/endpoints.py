"""The deeds on an endpoint: create, change, rotate, test, disable, enable, delete, send again."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.access import can, require
from accounts.errors import EndpointDisabled, StillSending, TooManyEndpoints
from accounts.models import ApiToken, Team, User, WebhookDelivery, WebhookEndpoint
from accounts.nudging import nudge_deliveries
from accounts.sealing import seal
from accounts.webhooks import payloads, signing
from accounts.webhooks.addresses import checked_url
from accounts.webhooks.delivering import channel_of
from web.errors import NotAllowed
from web.live import notify

MOST_PER_TEAM = 20
OVERLAP = timedelta(days=1)  # How long the old secret signs too after a rotation.

Actor = User | ApiToken


def require_admin(actor: Actor, team: Team) -> None:
    """Webhooks carry a team's news out of the house: only its admins, or their write tokens."""
    if isinstance(actor, ApiToken):
        require(actor, team, "write")
        require_creator_is_admin(actor)
    else:
        require(actor, team, "team")


def require_creator_is_admin(token: ApiToken) -> None:
    """A token does nothing here that its creator may not do."""
    if not can(token.created_by, token.team, "team"):
        raise NotAllowed("Only tokens created by an owner or admin of the team may do this.")


@transaction.atomic
def create(
    team: Team, actor: Actor, *, url: str, events: list[str], description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its secret, shown this once. Raises UnusableUrl or TooManyEndpoints."""
    require_admin(actor, team)
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)  # For the count to hold.
    if WebhookEndpoint.objects.kept().filter(team=team).count() >= MOST_PER_TEAM:
        raise TooManyEndpoints
    secret = signing.new_secret()
    endpoint = WebhookEndpoint.objects.create(
        team=team,
        url=checked_url(url),
        events=events,
        description=description,
        sealed_secret=seal(secret),
    )
    audit.record(team, actor, "webhook.created", endpoint.url, endpoint=str(endpoint.pk))
    return endpoint, secret


@transaction.atomic
def change(endpoint: WebhookEndpoint, actor: Actor, **facts: Any) -> None:
    """Change url, description or events. What waits already goes to the new URL."""
    require_admin(actor, endpoint.team)
    if "url" in facts:
        facts["url"] = checked_url(facts["url"])
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**facts)
    endpoint.refresh_from_db()
    audit.record(endpoint.team, actor, "webhook.changed", endpoint.url, **facts)


@transaction.atomic
def rotate(endpoint: WebhookEndpoint, actor: Actor) -> str:
    """A new secret; for a day each delivery is signed with both."""
    require_admin(actor, endpoint.team)
    secret = signing.new_secret()
    locked = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        sealed_secret=seal(secret),
        old_sealed_secret=locked.sealed_secret,
        old_secret_until=now() + OVERLAP,
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
    """Send again, with a clean record."""
    require_admin(actor, endpoint.team)
    disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False)
    if disabled.update(disabled_at=None, disabled_reason="", failing_since=None):
        audit.record(endpoint.team, actor, "webhook.enabled", endpoint.url)
        nudge_deliveries()
    endpoint.refresh_from_db()


@transaction.atomic
def delete(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Forget the endpoint and its secrets; what waits is not sent."""
    require_admin(actor, endpoint.team)
    gone = {"disabled_at": now(), "deleted_at": now(), "sealed_secret": "", "old_sealed_secret": ""}
    if WebhookEndpoint.objects.kept().filter(pk=endpoint.pk).update(**gone):
        endpoint.deliveries.filter(next_at__isnull=False).update(
            next_at=None, failed_at=now(), error="The endpoint was deleted."
        )
        audit.record(endpoint.team, actor, "webhook.deleted", endpoint.url)


@transaction.atomic
def send_test(endpoint: WebhookEndpoint, actor: Actor) -> WebhookDelivery:
    """Queue an event that says nothing but that the endpoint works. Raises EndpointDisabled."""
    require_admin(actor, endpoint.team)
    if not endpoint.is_enabled:
        raise EndpointDisabled
    event, event_id, body = payloads.test_event(int(now().timestamp()))
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint, event=event, event_id=event_id, body=body
    )
    notify(channel_of(endpoint))
    nudge_deliveries()
    return delivery


@transaction.atomic
def redeliver(delivery: WebhookDelivery, actor: Actor) -> None:
    """Send it once more, now, under the same webhook-id, whatever came of it before."""
    require_admin(actor, delivery.endpoint.team)
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=delivery.endpoint_id)
    if not endpoint.is_enabled:
        raise EndpointDisabled
    again = {"next_at": now(), "delivered_at": None, "failed_at": None, "attempts": 0}
    # One that is under way keeps its attempt: resetting it would lose that attempt's outcome.
    if not WebhookDelivery.objects.filter(pk=delivery.pk).not_under_way().update(**again):
        raise StillSending
    delivery.refresh_from_db()
    notify(channel_of(endpoint))
    nudge_deliveries()
