"""The bell, the list of notices, and the pages and API of webhooks."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import Membership, Notice, NoticeEmail, WebhookDelivery, WebhookEndpoint
from accounts.notifications import read_state
from accounts.notifications.cleanup import delete_old
from accounts.notifications.fan_out import fan_out_pending
from accounts.notifications.publish import publish
from accounts.webhooks import endpoints
from accounts.webhooks.delivery import deliver_due
from tests.accounts.webhooks.receiver import receiving

pytestmark = pytest.mark.django_db
HOME = "/teams/acme-labs/notices/"


@pytest.fixture
def noticed_team(team, alice):
    publish(team, "training_job.failed", "Intents failed.", url="/settings/")
    publish(team, "budget.spent", "The cap is reached.")
    publish(team, "dataset.ready", "tickets.csv is ready.")
    return team


@pytest.fixture
def as_alice(client_of, alice):
    return client_of(alice)


def unread(person) -> int:
    return read_state.count_unread(Membership.objects.get(user=person))


def test_a_notice_is_unread_until_its_reader_opens_it(noticed_team, as_alice, alice, bob):
    publish(noticed_team, "training_job.failed", "For both.")
    assert (unread(alice), unread(bob)) == (4, 1)  # Bob joined after the first three.
    notice = Notice.objects.get(event="training_job.failed", sentence="Intents failed.")
    answer = as_alice.post(f"/notices/{notice.pk}/open/")
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    assert (unread(alice), unread(bob)) == (3, 1)


def test_progress_is_shown_but_never_unread(noticed_team, as_alice, alice):
    publish(noticed_team, "training_job.queued", "Intents: Queued for CPU")
    assert unread(alice) == 3
    assert b"Intents: Queued for CPU" in as_alice.get(HOME).content
    assert b"Intents: Queued for CPU" not in as_alice.get(f"{HOME}?unread").content


def test_all_are_marked_as_read_and_later_ones_are_not(noticed_team, as_alice, alice, bob):
    Notice.objects.filter(event="dataset.ready").update(created_at=now() + timedelta(seconds=5))
    assert as_alice.post(f"{HOME}read/").status_code == 302
    assert unread(alice) == 0
    publish(noticed_team, "budget.spent", "Again.")
    assert unread(alice) == 1
    assert b">1<" in as_alice.get(f"{HOME}bell/").content


def test_a_notice_that_commits_after_all_was_read_is_still_unread(noticed_team, as_alice, alice):
    """A long transaction writes an early time and becomes visible late."""
    long_ago = now() - timedelta(hours=1)
    Membership.objects.update(joined_at=long_ago, notices_read_until=long_ago)
    as_alice.post(f"{HOME}read/")
    publish(noticed_team, "budget.held", "Late.")
    Notice.objects.filter(event="budget.held").update(created_at=now() - timedelta(seconds=20))
    assert unread(alice) == 1


def test_the_list_filters_pages_and_survives_nonsense(noticed_team, as_alice):
    assert as_alice.get(HOME).content.count(b'class="sentence"') == 3
    assert b"Intents failed." in as_alice.get(f"{HOME}?group=failures").content
    assert b"The cap is reached." not in as_alice.get(f"{HOME}rows/?group=failures").content
    assert as_alice.get(f"{HOME}?group=%00").status_code == 400
    for query in ("?page=x", "?page=-1", "?unread&page=99", "?group=nonsense"):
        assert as_alice.get(HOME + query).status_code == 200
    for number in range(40):
        publish(noticed_team, "budget.spent", f"Number {number}.")
    assert b"Page 1 of 2" in as_alice.get(HOME).content


def test_a_notice_never_leads_elsewhere(noticed_team, as_alice):
    Notice.objects.update(url="//evil.test/")
    answer = as_alice.post(f"/notices/{Notice.objects.first().pk}/open/")
    assert answer["Location"] == HOME


def test_strangers_see_no_notices(noticed_team, client_of, mallory, mallory_token, api):
    stranger = client_of(mallory)
    for path in ("", "rows/", "bell/", "live/", "settings/"):
        assert stranger.get(HOME + path).status_code == 404
    assert stranger.post(f"/notices/{Notice.objects.first().pk}/open/").status_code == 404
    assert api(mallory_token).get("/api/v1/notices").json()["data"] == []


@pytest.mark.parametrize("count", [1, 30])
def test_the_pages_ask_the_database_a_fixed_number_of_times(
    noticed_team, as_alice, django_assert_max_num_queries, count
):
    for number in range(count):
        publish(noticed_team, "budget.spent", f"Number {number}.")
    as_alice.get(HOME)
    with django_assert_max_num_queries(9):
        as_alice.get(HOME)
    with django_assert_max_num_queries(6):
        as_alice.get(f"{HOME}bell/")


def test_wishes_are_shown_saved_and_checked(noticed_team, as_alice, alice):
    page = as_alice.get(f"{HOME}settings/")
    assert b"Something failed or needs you" in page.content
    chosen = dict.fromkeys(page.context["form"].fields, "never")
    assert as_alice.post(f"{HOME}settings/", chosen).status_code == 302
    publish(noticed_team, "training_job.failed", "It failed.")
    fan_out_pending()
    assert not NoticeEmail.objects.filter(notice__sentence="It failed.").exists()
    refused = as_alice.post(f"{HOME}settings/", {"failures": "sometimes"})
    assert b"not one of the available choices" in refused.content


def test_tokens_members_and_suspensions_are_told(team, alice, client_of, rf):
    from accounts import tokens
    from accounts.teams import suspension

    tokens.issue(team, alice, name="ci", scopes=["read"])
    suspension.suspend(team, alice)
    suspension.unsuspend(team, alice)
    assert list(Notice.objects.order_by("created_at").values_list("event", flat=True)) == [
        "token.created",
        "team.frozen",
        "team.unfrozen",
    ]


def test_old_notices_and_deliveries_are_forgotten_but_nothing_that_waits(team, alice):
    endpoint, _ = endpoints.create(team, alice, url="https://a.test/", events=["dataset.ready"])
    for _ in range(2):
        publish(team, "dataset.ready", "Ready.")
    fan_out_pending()
    old = now() - timedelta(days=91)
    Notice.objects.update(created_at=old)
    first, second = WebhookDelivery.objects.all()
    WebhookDelivery.objects.update(created_at=old)
    WebhookDelivery.objects.filter(pk=first.pk).update(next_at=None, delivered_at=old)
    publish(team, "dataset.ready", "New.")
    delete_old()
    assert [notice.sentence for notice in Notice.objects.all()] == ["New."]
    assert [delivery.pk for delivery in WebhookDelivery.objects.all()] == [second.pk]
    endpoints.delete(endpoint, alice)
    WebhookDelivery.objects.all().delete()
    WebhookEndpoint.objects.update(deleted_at=old)
    delete_old()
    assert not WebhookEndpoint.objects.exists()


# --- Webhook pages ------------------------------------------------------------------------------
WANTED = {"url": "https://acme.test/hook", "description": "Staging", "events": ["dataset.ready"]}


def test_an_endpoint_is_made_on_the_page_and_its_secret_shown_once(team, as_alice):
    page = as_alice.post("/teams/acme-labs/webhooks/create/", WANTED)
    assert b"whsec_" in page.content
    endpoint = WebhookEndpoint.objects.get()
    assert b"whsec_" not in as_alice.get(f"/webhooks/{endpoint.pk}/").content
    assert b"Staging" in as_alice.get("/teams/acme-labs/webhooks/").content
    rotated = as_alice.post(f"/webhooks/{endpoint.pk}/rotate/").content
    assert b"whsec_" in rotated
    assert b"old secret signs too" in rotated


def test_bad_input_on_the_pages_gets_a_sentence(team, as_alice):
    create = "/teams/acme-labs/webhooks/create/"
    assert b"at least one event" in as_alice.post(create, WANTED | {"events": []}).content
    private = as_alice.post(create, WANTED | {"url": "https://10.0.0.1/"})
    assert (private.status_code, b"private" in private.content) == (400, True)
    as_alice.post(create, WANTED)
    endpoint = WebhookEndpoint.objects.get()
    changed = as_alice.post(f"/webhooks/{endpoint.pk}/change/", WANTED | {"events": ["nonsense"]})
    assert changed.status_code == 400


def test_a_test_event_appears_in_the_log_and_can_be_sent_again(team, alice, as_alice, settings):
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True
    with receiving() as receiver:
        endpoint, _ = endpoints.create(team, alice, url=receiver.url, events=["dataset.ready"])
        assert as_alice.post(f"/webhooks/{endpoint.pk}/test/").status_code == 302
        deliver_due()
        log = as_alice.get(f"/webhooks/{endpoint.pk}/log/").content
        assert b"webhook.test" in log
        assert b"Delivered" in log
        sent = WebhookDelivery.objects.get()
        page = as_alice.get(f"/webhook-deliveries/{sent.pk}/").content
        assert b"thanks" in page
        assert sent.event_id.encode() in page
        as_alice.post(f"/webhook-deliveries/{sent.pk}/send/")
        deliver_due()
        assert len(receiver.got) == 2


def test_members_who_are_no_admins_are_refused_and_strangers_find_nothing(
    team, alice, bob, mallory, client_of
):
    endpoint, _ = endpoints.create(team, alice, url="https://a.test/", events=["dataset.ready"])
    sent = endpoints.send_test(endpoint, alice)
    paths = [
        "/teams/acme-labs/webhooks/",
        f"/webhooks/{endpoint.pk}/",
        f"/webhooks/{endpoint.pk}/log/",
        f"/webhooks/{endpoint.pk}/live/",
        f"/webhook-deliveries/{sent.pk}/",
    ]
    for person, code in ((bob, 403), (mallory, 404)):
        browser = client_of(person)
        assert {browser.get(path).status_code for path in paths} == {code}


# --- API ----------------------------------------------------------------------------------------
def test_the_api_runs_an_endpoint_from_making_to_deleting(team, api, token, settings):
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True
    client, root = api(token), "/api/v1/webhook-endpoints"
    with receiving() as receiver:
        made = client.post(root, {"url": receiver.url, "events": ["token.created"]})
        assert made.status_code == 201
        assert made.json()["secret"].startswith("whsec_")
        one = f"{root}/{made.json()['id']}"
        assert "secret" not in client.get(one).json()
        assert [row["id"] for row in client.get(root).json()["data"]] == [made.json()["id"]]
        changed = client.patch(one, {"description": "CI", "events": ["dataset.failed"]}).json()
        assert (changed["description"], changed["events"]) == ("CI", ["dataset.failed"])
        assert client.post(f"{one}/rotate").json()["secret"] != made.json()["secret"]
        delivery = client.post(f"{one}/test").json()
        assert (delivery["status"], delivery["event"]) == ("pending", "webhook.test")
        deliver_due()
        listed = client.get(f"{one}/deliveries").json()["data"][0]
        assert (listed["status"], listed["status_code"]) == ("delivered", 200)
        again = client.post(f"/api/v1/webhook-deliveries/{delivery['id']}/send")
        assert again.status_code == 202
        assert client.patch(one, {"enabled": False}).json()["enabled"] is False
        assert client.post(f"{one}/test").status_code == 409
        assert client.patch(one, {"enabled": True}).json()["enabled"] is True
        assert client.delete(one).status_code == 204
        assert client.get(one).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({"url": "https://a.test/"}, "events"),
        ({"url": "http://a.test/", "events": ["token.created"]}, "url"),
        ({"url": "https://a.test/", "events": []}, "events"),
        ({"url": "https://a.test/", "events": ["x"]}, "events"),
        ({"url": "https://a.test/\x00", "events": ["token.created"]}, "url"),
        ({"url": ["a"], "events": "token.created"}, "url"),
        ([], None),
    ],
)
def test_the_api_names_what_is_wrong(api, token, body, param):
    answer = api(token).post("/api/v1/webhook-endpoints", body)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"] or "").partition(".")[0] == (param or "")


def test_tokens_of_members_read_notices_but_no_webhooks(noticed_team, bob, api):
    from tests.conftest import issue

    client = api(issue(noticed_team, bob))
    assert len(client.get("/api/v1/notices").json()["data"]) == 3
    assert client.get("/api/v1/notices?group=budget").json()["data"][0]["event"] == "budget.spent"
    assert client.get("/api/v1/notices?group=x").status_code == 400
    assert client.get("/api/v1/webhook-endpoints").status_code == 403
    assert client.post("/api/v1/webhook-endpoints", WANTED).status_code == 403


def test_the_bell_opens_the_latest_notices_of_its_own_team(client_of, alice, mallory, team):
    for number in range(7):
        publish(team, "training_job.failed", f"Job {number} failed.")
    page = client_of(alice).get(f"/teams/{team.slug}/notices/latest/").content.decode()
    assert [f"Job {number} failed." in page for number in range(7)] == [False] * 2 + [True] * 5
    assert f"/teams/{team.slug}/notices/" in page
    assert client_of(mallory).get(f"/teams/{team.slug}/notices/latest/").status_code == 404
