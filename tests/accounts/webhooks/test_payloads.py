"""What programs receive, and the signature that proves who sent it."""

import base64
import hashlib
import hmac
import json

import pytest

from accounts.models import Notice
from accounts.notifications.publish import publish
from accounts.webhooks import signing
from accounts.webhooks.payloads import build_events, build_test_event
from accounts.webhooks.secret_encryption import decrypt, encrypt

pytestmark = pytest.mark.django_db
JOB_ID = "0b6f2f5e-6c3f-4b52-a2d9-b1a7c1d0e4f3"


@pytest.fixture
def notice(team, settings) -> Notice:
    settings.PUBLIC_URL = "https://lathe.test"
    data = {"id": JOB_ID, "status": "succeeded"}
    publish(team, "training_job.succeeded", "Grüße: it is ready.", url="/jobs/7/", data=data)
    return Notice.objects.get()


def test_an_event_carries_its_data_its_team_and_a_full_address(notice, team):
    (event, event_id, body), _ = build_events(notice)
    content = json.loads(body)
    assert event == content["type"] == "training_job.succeeded"
    assert content["id"] == event_id == f"evt_{notice.pk.hex}"
    assert content["created_at"] == int(notice.created_at.timestamp())
    assert content["data"] == {
        "id": JOB_ID,
        "status": "succeeded",
        "team": str(team.pk),
        "sentence": "Grüße: it is ready.",
        "url": "https://lathe.test/jobs/7/",
    }
    assert "Grüße" in body


def test_openais_form_has_an_id_of_its_own_and_only_the_jobs_id_on_its_wire(notice):
    (_, own_id, _), (event, openai_id, body) = build_events(notice)
    assert event == "fine_tuning.job.succeeded"
    assert openai_id != own_id
    assert json.loads(body)["data"] == {"id": "ftjob-0b6f2f5e6c3f4b52a2d9b1a7c1d0e4f3"}


def test_building_again_gives_the_same_bytes(notice):
    assert build_events(notice) == build_events(Notice.objects.get())


def test_an_event_that_openai_does_not_have_comes_in_our_form_only(team):
    publish(team, "dataset.ready", "Ready.")
    [(event, _, body)] = build_events(Notice.objects.get())
    assert event == "dataset.ready"
    assert "url" not in json.loads(body)["data"]


def test_test_events_differ(notice):
    assert build_test_event(1)[1] != build_test_event(1)[1]
    assert build_test_event(1)[0] == "webhook.test"


def test_the_signature_is_that_of_standard_webhooks():
    """The example of https://github.com/standard-webhooks: HMAC-SHA256 of id.timestamp.body."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signing.signature_headers(
        [secret],
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body='{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_secret_signs_in_the_given_order():
    secrets = [signing.generate_secret(), signing.generate_secret()]
    headers = signing.signature_headers(secrets, event_id="e", timestamp=1, body="{}")
    expected = [
        base64.b64encode(
            hmac.new(base64.b64decode(secret[6:]), b"e.1.{}", hashlib.sha256).digest()
        ).decode()
        for secret in secrets
    ]
    assert headers["webhook-signature"] == " ".join(f"v1,{digest}" for digest in expected)


def test_secrets_are_192_bits_and_never_the_same():
    first, second = signing.generate_secret(), signing.generate_secret()
    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 24


def test_what_a_former_key_encrypted_is_read_under_the_new_one(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "old", []
    encrypted = encrypt("whsec_x")
    assert "whsec_x" not in encrypted
    assert encrypt("whsec_x") != encrypted
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert decrypt(encrypted) == "whsec_x"
    settings.SECRET_KEY_FALLBACKS = []
    from cryptography.fernet import InvalidToken

    with pytest.raises(InvalidToken):
        decrypt(encrypted)
