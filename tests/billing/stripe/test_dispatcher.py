"""What becomes of a stored event: done, ignored, refused, tried again, or given up."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils.timezone import now

from billing.models import OperatorAlert, WebhookEvent
from billing.stripe.errors import StripeUnreachable
from billing.stripe.webhooks import dispatcher
from billing.stripe.webhooks.dispatcher import MAX_ATTEMPTS, RETRY_DELAYS, process_due

pytestmark = pytest.mark.django_db
TYPE = "invoice.paid"


@pytest.fixture
def handled(monkeypatch, settings):
    """The ids of the events that reached the handler, which may be told to fail."""
    settings.STRIPE_SECRET_KEY = "sk_test_x"
    events = []
    events_and_failure = {"failure": None}

    def handler(event):
        events.append(event.pk)
        failure = events_and_failure["failure"]
        if callable(failure):
            failure(event)
        elif failure is not None:
            raise failure

    monkeypatch.setattr(dispatcher, "SNAPSHOT_HANDLERS", {TYPE: handler})
    monkeypatch.setattr(dispatcher, "THIN_HANDLERS", {})
    monkeypatch.setattr(dispatcher.gateway, "api_version", lambda: "2026-10-01")
    return events, events_and_failure


def arrive(number=1, **columns):
    return WebhookEvent.objects.create(
        **{
            "id": f"evt_{number}", "endpoint": "snapshot", "type": TYPE, "created_at": now(),
            "payload": {}, "next_at": now() - timedelta(seconds=100 - number),
        } | columns
    )  # fmt: skip


def test_events_are_handled_in_the_order_they_are_due_up_to_the_limit(handled):
    events, _ = handled
    for number in (3, 1, 2):
        arrive(number)
    assert process_due(limit=2) == 2
    assert events == ["evt_1", "evt_2"]
    assert process_due() == 1
    assert process_due() == 0
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"done"}
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_nothing_is_claimed_without_a_key(handled, settings):
    settings.STRIPE_SECRET_KEY = ""
    arrive()
    assert process_due() == 0
    assert WebhookEvent.objects.get().attempts == 0


def test_a_type_without_a_handler_is_ignored(handled):
    arrive(type="balance.available")
    process_due()
    event = WebhookEvent.objects.get()
    assert (event.status, event.processed_at is not None) == ("ignored", True)


@pytest.mark.parametrize("version", ["", "2026-10-01"])
def test_events_of_our_version_or_fetched_by_us_are_handled(handled, version):
    arrive(api_version=version)
    process_due()
    assert WebhookEvent.objects.get().status == "done"


def test_an_event_of_another_version_is_refused_and_reported(handled):
    events, _ = handled
    arrive(api_version="2020-01-01")
    process_due()
    assert (events, WebhookEvent.objects.get().status) == ([], "refused")
    assert OperatorAlert.objects.get().key == "api-version:2020-01-01"


@pytest.mark.parametrize("failure", [StripeUnreachable(), ValueError("odd payload")])
def test_whatever_a_handler_raises_the_event_is_tried_again(handled, failure):
    _, script = handled
    script["failure"] = failure
    arrive()
    assert process_due() == 1
    event = WebhookEvent.objects.get()
    wait = (event.next_at - now()).total_seconds()
    assert (event.status, event.attempts, bool(event.error)) == ("waiting", 1, True)
    assert RETRY_DELAYS[0] - 5 < wait <= RETRY_DELAYS[0] * 1.2
    assert process_due() == 0


def test_one_bad_event_does_not_stop_the_others(handled):
    _, script = handled

    def fail_first(event):
        if event.pk == "evt_1":
            raise ValueError("odd")

    script["failure"] = fail_first
    arrive(1)
    arrive(2)
    assert process_due() == 2
    assert WebhookEvent.objects.get(pk="evt_2").status == "done"


def test_retries_grow_to_an_hour_and_end_in_an_alert(handled):
    _, script = handled
    script["failure"] = StripeUnreachable()
    arrive(attempts=MAX_ATTEMPTS - 2)
    process_due()
    event = WebhookEvent.objects.get()
    assert 3500 < (event.next_at - now()).total_seconds() <= 3600 * 1.2
    WebhookEvent.objects.update(next_at=now() - timedelta(seconds=1))
    process_due()
    assert WebhookEvent.objects.get().status == "failed"
    assert "could not be carried out" in OperatorAlert.objects.get().sentence


def test_a_worker_that_was_overtaken_writes_nothing(handled):
    _, script = handled

    def overtaken(event):
        WebhookEvent.objects.filter(pk=event.pk).update(attempts=F("attempts") + 1)

    script["failure"] = overtaken
    arrive()
    process_due()
    event = WebhookEvent.objects.get()
    assert (event.status, event.attempts, event.processed_at) == ("waiting", 2, None)


def test_a_claim_keeps_others_away_until_its_time_is_over(handled):
    _, script = handled
    seen = []

    def look(event):
        seen.append(process_due())
        row = WebhookEvent.objects.get()
        assert row.next_at - now() > dispatcher.VISIBILITY_TIMEOUT - timedelta(seconds=30)

    script["failure"] = look
    arrive()
    process_due()
    assert seen == [0]
