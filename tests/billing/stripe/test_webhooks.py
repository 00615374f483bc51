"""Messages from Stripe at our door: who is let in, and what is done once."""

import json
import time

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from billing.models import OperatorAlert, WebhookEvent
from billing.stripe.webhooks import inbox
from billing.stripe.webhooks.dispatcher import process_due
from tests.billing.stripe.fake.story import SECRET, THIN_SECRET, A, B

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(story):
    session = story.world.get("checkout.session", story.pay_top_up().session_id)
    return story.world.happened("checkout.session.completed", session)


def knock(path, body, **headers):
    return Client(enforce_csrf_checks=True).post(
        path, body, content_type="application/json", **headers
    )


def test_a_good_signature_is_kept_once_however_often_it_comes(story, event):
    before = WebhookEvent.objects.count()
    assert [story.post(event) for _ in range(3)] == [200, 200, 200]
    assert WebhookEvent.objects.count() == before + 1
    assert process_due() == 1
    assert story.post(event) == 200
    assert process_due() == 0


@pytest.mark.parametrize("path", [A, B])
def test_bad_missing_old_and_foreign_signatures_are_refused(story, event, path):
    body, header = story.server.sign(event, SECRET)
    stamp = int(time.time())
    for bad in (
        {},
        {"HTTP_STRIPE_SIGNATURE": ""},
        {"HTTP_STRIPE_SIGNATURE": "t=abc,v1=00"},
        {"HTTP_STRIPE_SIGNATURE": f"t={stamp},v1=00"},
        {"HTTP_STRIPE_SIGNATURE": story.server.sign(event, "whsec_foreign")[1]},
        {"HTTP_STRIPE_SIGNATURE": story.server.sign(event, SECRET, at=stamp - 301)[1]},
    ):
        answer = knock(path, body, **bad)
        assert answer.status_code == 400, bad
        assert b"signature" in answer.content
    assert knock(path, body + b" ", HTTP_STRIPE_SIGNATURE=header).status_code == 400
    assert knock(path, b"\xff\xfe", HTTP_STRIPE_SIGNATURE=header).status_code == 400
    assert not WebhookEvent.objects.filter(pk=event["id"]).exists()


def test_either_secret_is_good_while_one_is_replaced(story, event):
    assert story.post(event, secret="whsec_old") == 200


@pytest.mark.parametrize("body", ["[]", "{}", '"x"', "null", '{"object":"event"}', "{", ""])
def test_a_signed_body_that_is_no_event_is_refused(story, body):
    from stripe import WebhookSignature

    for path, secret in ((A, SECRET), (B, THIN_SECRET)):
        header = WebhookSignature.generate_signature_header(body, secret)
        assert knock(path, body, HTTP_STRIPE_SIGNATURE=header).status_code == 400


def test_each_address_takes_its_own_kind_only(story, event):
    thin = story.world.meter_error([])
    notification = {key: value for key, value in thin.items() if key != "data"}
    assert story.post(notification, path=A) == 400
    assert story.post(event, path=B, secret=THIN_SECRET) == 400
    assert story.post(notification, path=B, secret=THIN_SECRET) == 200


def test_without_secrets_or_key_nothing_is_taken(story, event, settings):
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert story.post(event) == 400
    settings.STRIPE_SECRET_KEY = ""
    assert story.post(event) == 400
    assert Client().get(A).status_code == 405


def test_an_unknown_type_is_kept_and_ignored(story, event):
    strange = event | {"id": "evt_strange", "type": "radar.early_fraud_warning.created"}
    assert story.post(strange) == 200
    process_due()
    kept = WebhookEvent.objects.get(pk="evt_strange")
    assert (kept.status, kept.error) == ("ignored", "")


def test_another_api_version_is_refused_with_an_alert(story, event):
    old = event | {"id": "evt_old", "api_version": "2024-06-20"}
    assert story.post(old) == 200
    process_due()
    kept = WebhookEvent.objects.get(pk="evt_old")
    assert (kept.status, kept.processed_at) == ("refused", None)
    assert "2024-06-20" in OperatorAlert.objects.get(key="api-version:2024-06-20").sentence


def test_a_failure_is_noted_and_tried_again(story, event):
    story.server.break_next("GET", "/v1/checkout/sessions", "429")
    story.post(event)
    process_due()
    kept = WebhookEvent.objects.get(pk=event["id"])
    assert (kept.status, kept.attempts) == ("waiting", 1)
    assert "busy" in kept.error
    assert process_due() == 0  # Not before its time.
    WebhookEvent.objects.update(next_at=kept.received_at)
    process_due()
    kept.refresh_from_db()
    assert (kept.status, kept.attempts, kept.error) == ("done", 2, "")


def test_one_broken_message_does_not_stop_the_others(story, event):
    nothing = event | {"id": "evt_empty", "data": {"object": {"object": "customer"}}}
    for one in (nothing, event):
        story.post(one)
    process_due()
    assert WebhookEvent.objects.get(pk="evt_empty").error
    assert WebhookEvent.objects.get(pk=event["id"]).status == "done"


def test_a_message_that_never_reached_us_is_fetched(story):
    row = story.open_top_up()
    story.world.pay(row.session_id)
    for event in story.world.events:
        event["api_version"] = "2024-06-20"  # The list speaks the account's default version.
    assert inbox.fetch_missed_events() == len(story.world.events)
    assert inbox.fetch_missed_events() == 0
    process_due()
    row.refresh_from_db()
    assert row.status == "paid"


def test_a_thin_message_that_never_reached_us_is_fetched(story):
    thin = story.world.meter_error(["test:gpu:1:1"], "meter_event_customer_not_found")
    assert inbox.fetch_missed_events() == 1
    assert inbox.fetch_missed_events() == 0
    process_due()
    kept = WebhookEvent.objects.get(pk=thin["id"])
    assert (kept.endpoint, kept.status) == ("thin", "done")
    assert OperatorAlert.objects.filter(key=f"meter-errors:{thin['id']}").exists()


def test_an_operator_replays_a_message_and_that_is_written_down(story, event, client_of):
    story.post(event)
    process_due()
    operator = client_of(User.objects.create_superuser("root@lathe.test", "correct horse battery"))
    page = "/admin/billing/webhookevent/"
    assert operator.get(page).status_code == 200
    assert operator.get(f"{page}{event['id']}/change/").status_code == 200
    operator.post(page, {"action": "replay", "_selected_action": [event["id"]]})
    assert WebhookEvent.objects.get(pk=event["id"]).status == "waiting"
    assert AuditEntry.objects.get(action="webhook.replayed").target == event["id"]
    assert process_due() == 1


def test_the_payload_is_kept_as_it_came(story, event):
    story.post(event)
    assert WebhookEvent.objects.get(pk=event["id"]).payload == json.loads(json.dumps(event))


def test_usage_that_stripe_did_not_count_raises_an_alert(story):
    thin = story.world.meter_error(["test:gpu:1:1"], "meter_event_customer_not_found")
    notification = {key: value for key, value in thin.items() if key != "data"}
    for _ in range(3):
        assert story.post(notification, path=B, secret=THIN_SECRET) == 200
        process_due()
    assert WebhookEvent.objects.get(pk=thin["id"]).status == "done"
    told = OperatorAlert.objects.get(key=f"meter-errors:{thin['id']}")
    assert "meter_event_customer_not_found (1)" in told.sentence
