"""Signed webhooks, received over real sockets and verified by the official client."""

import json
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils.timezone import now
from openai import InvalidWebhookSignatureError, OpenAI

from accounts.errors import DeliveryInProgress, EndpointDisabled, TooManyEndpoints
from accounts.models import Notice, WebhookDelivery, WebhookEndpoint
from accounts.notifications.fan_out import fan_out_pending
from accounts.notifications.publish import publish
from accounts.webhooks import delivery as delivering
from accounts.webhooks import endpoints, http_client
from accounts.webhooks.delivery import deliver_due
from tests.accounts.webhooks.receiver import Receiver, receiving
from web.errors import NotAllowed

pytestmark = pytest.mark.django_db

FINISHED = ["training_job.succeeded", "fine_tuning.job.succeeded"]


@pytest.fixture(autouse=True)
def on_our_own_network(settings):
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


@pytest.fixture
def endpoint(team, alice, receiver: Receiver) -> WebhookEndpoint:
    made, secret = endpoints.create(team, alice, url=receiver.url, events=FINISHED)
    made.secret = secret
    return made


def succeed(team, **data) -> None:
    publish(team, "training_job.succeeded", "It is done.", url="/jobs/7/", data={"id": "7", **data})
    fan_out_pending()


def make_due() -> None:
    """As if the next attempt's time had come."""
    waiting = WebhookDelivery.objects.filter(next_at__isnull=False)
    waiting.update(next_at=now() - timedelta(seconds=1))


def unwrap(secret: str, request: tuple[dict[str, str], bytes]):
    client = OpenAI(api_key="unused", webhook_secret=secret)
    headers, body = request
    return client.webhooks.unwrap(body, headers)


def test_the_official_client_verifies_and_reads_what_arrives(team, endpoint, receiver):
    succeed(team)
    assert deliver_due() == 2
    events = {event.type: event for event in (unwrap(endpoint.secret, got) for got in receiver.got)}
    theirs = events["fine_tuning.job.succeeded"]
    assert (theirs.object, theirs.data.id, theirs.id[:4]) == ("event", "ftjob-7", "evt_")
    ours = next(json.loads(body) for _, body in receiver.got if b"training_job" in body)
    assert ours["data"]["sentence"] == "It is done."
    assert ours["data"]["url"].endswith("/jobs/7/")
    assert isinstance(ours["created_at"], int)
    for headers, body in receiver.got:
        assert headers["webhook-id"] == json.loads(body)["id"]
        assert headers["content-type"] == "application/json"


def test_a_real_job_is_told_in_both_forms_under_its_own_id(job, alice, receiver):
    events = ["training_job.cancelled", "fine_tuning.job.cancelled"]
    endpoint, secret = endpoints.create(job.team, alice, url=receiver.url, events=events)
    job.cancel()
    fan_out_pending()
    assert deliver_due() == 2
    ids = {json.loads(body)["data"]["id"] for _, body in receiver.got}
    assert ids == {str(job.pk), f"ftjob-{job.pk.hex}"}
    assert {unwrap(secret, got).type for got in receiver.got} == set(events)


def test_another_secret_or_a_changed_body_does_not_verify(team, endpoint, receiver):
    succeed(team)
    deliver_due()
    headers, body = receiver.got[0]
    for secret, sent in [
        ("whsec_" + "A" * 32, body),
        (endpoint.secret, body.replace(b"created_at", b"created_by")),
    ]:
        with pytest.raises(InvalidWebhookSignatureError):
            unwrap(secret, (headers, sent))


def test_only_the_chosen_events_of_ones_own_team_arrive(team, other_team, endpoint, receiver):
    publish(team, "training_job.failed", "It failed.", data={"id": "7"})
    publish(other_team, "training_job.succeeded", "Theirs.", data={"id": "8"})
    fan_out_pending()
    assert deliver_due() == 0
    assert receiver.got == []


def test_fanning_out_twice_delivers_once(team, endpoint, receiver):
    succeed(team)
    Notice.objects.update(fanned_out_at=None)
    fan_out_pending()
    assert deliver_due() == 2
    assert deliver_due() == 0
    assert len(receiver.got) == 2


def test_after_a_500_the_same_event_comes_again_later(team, endpoint, receiver):
    WebhookEndpoint.objects.update(events=FINISHED[:1])
    receiver.answers = [500, 500, 204]
    succeed(team)
    deliver_due()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.status_code) == ("retrying", 1, 500)
    assert timedelta(seconds=1) < delivery.next_at - now() < timedelta(seconds=10)
    assert deliver_due() == 0  # Its time has not come.
    for _ in range(2):
        make_due()
        deliver_due()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.status_code) == ("delivered", 3, 204)
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert len(ids) == 1
    assert len({body for _, body in receiver.got}) == 1
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_pauses_grow_to_about_three_days(team, endpoint, receiver):
    assert timedelta(days=3) < timedelta(seconds=sum(delivering.RETRY_DELAYS)) < timedelta(days=4)
    receiver.answers = [503]
    succeed(team)
    waits = []
    for _ in range(delivering.MAX_ATTEMPTS):
        make_due()
        deliver_due()
        first = WebhookDelivery.objects.order_by("pk").first()
        waits.append(first.next_at and (first.next_at - first.answered_at).total_seconds())
    assert waits[-1] is None
    assert first.status == "failed"
    assert all(a < b for a, b in zip(waits[:-2], waits[1:-1], strict=True))


def test_who_does_not_answer_in_time_is_tried_again(team, endpoint, receiver, monkeypatch):
    monkeypatch.setattr(http_client, "DEADLINE_SECONDS", 0.5)
    receiver.pause_seconds = 60  # Who waited for it would see it delivered.
    succeed(team)
    deliver_due()
    delivery = WebhookDelivery.objects.first()
    assert delivery.status == "retrying"
    assert delivery.status_code is None
    assert "within" in delivery.error


def test_a_refused_connection_says_so(team, alice, endpoint):
    endpoints.update(endpoint, alice, url="http://127.0.0.1:9/")
    succeed(team)
    deliver_due()
    assert WebhookDelivery.objects.first().error.startswith("Could not connect")


def test_a_long_answer_is_read_no_further_than_its_beginning(team, endpoint, receiver):
    receiver.body = b"\x00x" * 5_000_000
    succeed(team)
    deliver_due()
    delivery = WebhookDelivery.objects.first()
    assert delivery.status == "delivered"
    assert len(delivery.excerpt) == 500
    assert "\x00" not in delivery.excerpt


def test_a_worker_killed_between_sending_and_writing_sends_again_under_the_same_id(
    team, endpoint, receiver, monkeypatch
):
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    WebhookEndpoint.objects.update(events=FINISHED[:1])
    succeed(team)
    with monkeypatch.context() as patched:
        patched.setattr(delivering, "record_attempt", die)
        with pytest.raises(Killed):
            deliver_due()
    delivery = WebhookDelivery.objects.get()
    assert delivery.status == "retrying"
    assert delivery.next_at - now() > timedelta(seconds=30)  # Nobody else takes it meanwhile.
    make_due()
    deliver_due()
    delivery.refresh_from_db()
    assert delivery.status == "delivered"
    assert len(receiver.got) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_a_late_outcome_of_an_old_attempt_changes_nothing(team, endpoint, receiver):
    succeed(team)
    old = WebhookDelivery.objects.first()
    WebhookDelivery.objects.filter(pk=old.pk).update(attempts=1)
    delivering.record_attempt(old, http_client.DeliveryResult(status=500))
    old.refresh_from_db()
    assert (old.attempts, old.status_code) == (1, None)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_workers_send_each_event_once(team, alice, receiver):
    endpoints.create(team, alice, url=receiver.url, events=FINISHED)
    for number in range(6):
        publish(team, "training_job.succeeded", "Done.", data={"id": str(number)})

    def work() -> None:
        fan_out_pending()
        deliver_due()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver_due()
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(ids) == len(set(ids)) == 12


def test_one_slow_endpoint_does_not_fill_the_batch(team, alice, endpoint, receiver):
    for _ in range(10):
        succeed(team)
    WebhookDelivery.objects.update(next_at=now() - timedelta(hours=1))
    other, _ = endpoints.create(team, alice, url=receiver.url, events=FINISHED)
    succeed(team)
    batch = delivering._claim()
    assert [row.endpoint_id for row in batch].count(endpoint.pk) == delivering.MAX_PER_ENDPOINT
    assert other.pk in {row.endpoint_id for row in batch}


def test_an_endpoint_that_only_fails_for_three_days_is_disabled_and_the_team_told(
    team, endpoint, receiver
):
    receiver.answers = [500]
    succeed(team)
    deliver_due()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is not None
    assert endpoint.is_enabled
    WebhookEndpoint.objects.update(failing_since=now() - timedelta(days=3, minutes=1))
    make_due()
    deliver_due()
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    assert "three days" in endpoint.disabled_reason
    assert {row.status for row in WebhookDelivery.objects.all()} == {"failed"}
    assert Notice.objects.filter(event="webhook.disabled").count() == 1
    succeed(team)  # Nothing is queued for it any more.
    assert not WebhookDelivery.objects.filter(next_at__isnull=False).exists()


def test_one_success_starts_the_three_days_anew(team, endpoint, receiver):
    WebhookEndpoint.objects.update(failing_since=now() - timedelta(days=5))
    succeed(team)
    deliver_due()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    assert endpoint.is_enabled


def test_410_gone_disables_at_once(team, endpoint, receiver):
    receiver.answers = [410]
    succeed(team)
    deliver_due()
    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "It answered 410 Gone."


def test_redirects_are_not_followed(team, endpoint, receiver):
    with receiving() as elsewhere:
        receiver.answers, receiver.location = [307], elsewhere.url
        succeed(team)
        deliver_due()
        assert elsewhere.got == []
    delivery = WebhookDelivery.objects.first()
    assert delivery.status == "retrying"
    assert "redirects are not followed" in delivery.error


def test_for_a_day_after_a_rotation_both_secrets_verify(team, alice, endpoint, receiver):
    new = endpoints.rotate_secret(endpoint, alice)
    assert new != endpoint.secret
    succeed(team)
    deliver_due()
    for secret in (new, endpoint.secret):
        assert unwrap(secret, receiver.got[0]).id
    WebhookEndpoint.objects.update(old_secret_until=now() - timedelta(seconds=1))
    succeed(team, n=2)
    deliver_due()
    assert unwrap(new, receiver.got[-1]).id
    with pytest.raises(InvalidWebhookSignatureError):
        unwrap(endpoint.secret, receiver.got[-1])


def test_a_secret_is_not_readable_in_the_database_and_survives_a_new_secret_key(
    team, endpoint, receiver, settings
):
    assert endpoint.secret not in endpoint.sealed_secret
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    succeed(team)
    deliver_due()
    assert unwrap(endpoint.secret, receiver.got[0]).id


def test_a_lost_secret_key_is_said_on_the_delivery(team, endpoint, receiver, settings):
    settings.SECRET_KEY = "another"
    succeed(team)
    deliver_due()
    assert "Rotate" in WebhookDelivery.objects.first().error
    assert receiver.got == []


def test_sending_again_uses_the_same_id_and_needs_an_enabled_endpoint(
    team, alice, endpoint, receiver
):
    sent = endpoints.send_test(endpoint, alice)
    deliver_due()
    sent.refresh_from_db()
    assert sent.status == "delivered"
    endpoints.redeliver(sent, alice)
    deliver_due()
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [sent.event_id] * 2
    endpoints.disable(endpoint, alice)
    sent.endpoint.refresh_from_db()
    with pytest.raises(EndpointDisabled):
        endpoints.redeliver(sent, alice)
    with pytest.raises(EndpointDisabled):
        endpoints.send_test(endpoint, alice)


def test_what_is_being_sent_is_not_sent_again(team, alice, endpoint):
    sent = endpoints.send_test(endpoint, alice)
    delivering._claim()
    with pytest.raises(DeliveryInProgress):
        endpoints.redeliver(sent, alice)


def test_while_disabled_by_hand_events_wait_until_it_is_enabled(team, alice, endpoint, receiver):
    succeed(team)
    endpoints.disable(endpoint, alice)
    assert deliver_due() == 0
    endpoints.enable(endpoint, alice)
    assert deliver_due() == 2


def test_a_deleted_endpoint_gets_nothing_and_keeps_no_secret(team, alice, endpoint, receiver):
    succeed(team)
    endpoints.delete(endpoint, alice)
    assert deliver_due() == 0
    endpoint.refresh_from_db()
    assert endpoint.sealed_secret == ""


def test_only_admins_and_their_write_tokens_touch_webhooks(team, alice, bob, token, endpoint):
    for actor in (bob, SimpleNamespace()):
        with pytest.raises(NotAllowed):
            endpoints.rotate_secret(endpoint, actor)
    assert endpoints.rotate_secret(endpoint, token).startswith("whsec_")
    token.created_by = bob
    with pytest.raises(NotAllowed):
        endpoints.rotate_secret(endpoint, token)


def test_a_team_has_at_most_twenty_endpoints(team, alice, endpoint):
    for number in range(endpoints.MAX_ENDPOINTS_PER_TEAM - 1):
        endpoints.create(team, alice, url=f"http://a.test/{number}", events=FINISHED)
    with pytest.raises(TooManyEndpoints):
        endpoints.create(team, alice, url="http://a.test/", events=FINISHED)
