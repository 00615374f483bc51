"""Every kind of channel is added, tried, changed and removed on its pages."""

import time

import httpx
import pytest

from assistants.models import Channel, Mailbox
from assistants.wechat import crypto, replying
from assistants.wechat.replying import Account
from tests.assistants.mail.conftest import account, box  # noqa: F401

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
pytestmark = pytest.mark.django_db
WECHAT = {"name": "Shop", "app_id": "wx49f0ab532d5d035a", "app_secret": "s3cret", "token": "tok123",
          "mode": "plain"}  # fmt: skip


@pytest.fixture
def page(client_of, alice):
    return client_of(alice)


def add(page, assistant, kind, form) -> Channel:
    answer = page.post(f"/assistants/{assistant.pk}/channels/new/{kind}/", form)
    assert answer.status_code == 302, answer.content.decode()
    return assistant.channels.get(kind=kind)


def said(page, channel, form=None) -> str:
    """What the page says after its check."""
    answer = page.post(f"/channels/{channel.pk}/check/", form or {}, follow=True)
    return answer.content.decode()


def test_a_widget_is_added_and_its_sites_are_changed(page, assistant):
    channel = add(page, assistant, "web", {"allowed_origins": "https://a.example.com"})
    address = f"/channels/{channel.pk}/"
    assert "/w/" in page.get(address).content.decode()
    page.post(address, {"name": "New", "allowed_origins": "https://b.example.com\nhttps://c.test"})
    channel.refresh_from_db()
    assert channel.allowed_origins == ["https://b.example.com", "https://c.test"]
    refused = page.post(address, {"name": "New", "allowed_origins": "not a site"})
    assert b"is no origin" in refused.content or refused.status_code == 302
    channel.refresh_from_db()
    assert channel.allowed_origins == ["https://b.example.com", "https://c.test"]


def test_a_wechat_account_keeps_its_secrets_to_itself(page, assistant):
    channel = add(page, assistant, "wechat", WECHAT)
    html = page.get(f"/channels/{channel.pk}/").content.decode()
    assert f"/wechat/{channel.public_key}/" in html
    assert "s3cret" not in html
    form = {**WECHAT, "app_secret": "", "token": "", "customer_messages": "on"}
    assert page.post(f"/channels/{channel.pk}/", form).status_code == 302
    channel.refresh_from_db()
    kept = Account.of(channel)
    assert (kept.app_secret, kept.token) == ("s3cret", "tok123")
    assert channel.settings == {"customer_messages": True}


def test_the_mode_decides_whether_there_is_a_key(page, assistant):
    address = f"/assistants/{assistant.pk}/channels/new/wechat/"
    refused = page.post(address, {**WECHAT, "mode": "encrypted"})
    assert "The encrypted mode needs this key." in refused.content.decode()
    channel = add(page, assistant, "wechat", {**WECHAT, "mode": "encrypted", "encoding_key": KEY})
    assert Account.of(channel).encoding_key == KEY
    html = page.get(f"/channels/{channel.pk}/").content.decode()
    assert html.count("One is set.") == 3
    page.post(f"/channels/{channel.pk}/", {**WECHAT, "mode": "encrypted"})
    channel.refresh_from_db()
    assert Account.of(channel).encoding_key == KEY
    page.post(f"/channels/{channel.pk}/", WECHAT)
    channel.refresh_from_db()
    assert Account.of(channel).encoding_key == ""


def test_wechats_own_words_are_shown(page, assistant, monkeypatch):
    channel = add(page, assistant, "wechat", WECHAT)
    answers = [
        {"errcode": 40164, "errmsg": "invalid ip 1.2.3.4, not in whitelist"},
        {"access_token": "t", "expires_in": 7200},
    ]

    def post(url, **more):
        return httpx.Response(200, json=answers.pop(0), request=httpx.Request("POST", url))

    monkeypatch.setattr(replying.httpx, "post", post)
    assert "not in whitelist" in said(page, channel)
    assert "WeChat knows this account" in said(page, channel)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("tok123", "The signature is right"),
        ("other1", "of another token"),
        (None, "lacks signature"),
    ],
)
def test_a_signature_is_checked_by_the_address_that_was_called(page, assistant, token, words):
    channel = add(page, assistant, "wechat", WECHAT)
    stamp = str(int(time.time()))
    query = f"signature={crypto.sign(token, stamp, 'n')}&timestamp={stamp}" if token else ""
    address = f"https://lathe.test/wechat/{channel.public_key}/?{query}&nonce=n&echostr=1"
    assert words in said(page, channel, {"address": address})


def test_a_mailbox_is_added_and_tried(page, assistant, account):  # noqa: F811
    form = {**vars(account), "name": "Help"}
    channel = add(page, assistant, "email", form)
    assert Mailbox.objects.filter(channel=channel).exists()
    assert "Both servers let this account in" in said(page, channel)
    html = page.get(f"/channels/{channel.pk}/").content.decode()
    assert account.password not in html
    page.post(f"/channels/{channel.pk}/", {**form, "password": "wrong"})
    assert "Invalid credentials" in said(page, channel)
    page.post(f"/channels/{channel.pk}/", {**form, "password": account.password})
    page.post(f"/channels/{channel.pk}/", {**form, "password": ""})
    assert "Both servers let this account in" in said(page, channel)


def test_a_removed_channel_is_gone_from_the_pages(page, assistant):
    channel = add(page, assistant, "web", {"allowed_origins": "https://a.example.com"})
    assert page.post(f"/channels/{channel.pk}/remove/").status_code == 302
    assert page.get(f"/channels/{channel.pk}/").status_code == 404
    assert page.post(f"/channels/{channel.pk}/remove/").status_code == 404


def test_a_viewer_changes_nothing(client_of, vera, page, assistant):
    channel = add(page, assistant, "wechat", WECHAT)
    viewer = client_of(vera)
    assert viewer.get(f"/channels/{channel.pk}/").status_code == 200
    for address in ("", "check/", "remove/"):
        assert viewer.post(f"/channels/{channel.pk}/{address}", WECHAT).status_code == 403


def test_programs_add_and_remove_channels(api, token, assistant, account):  # noqa: F811
    client = api(token)
    base = f"/api/v1/assistants/{assistant.pk}/channels"
    refused = client.post(base, {"kind": "email"}, format="json")
    assert refused.status_code == 400
    made = client.post(base, {"kind": "email", "email": vars(account)}, format="json")
    assert made.status_code == 201, made.content
    assert account.password not in made.content.decode()
    one = f"{base}/{made.json()['id']}"
    assert client.delete(one).status_code == 204
    assert client.delete(one).status_code == 409


def test_a_second_key_is_added_limited_and_rotated(page, assistant, api, token):
    form = {"name": "App", "daily_limit": "7"}
    answer = page.post(f"/assistants/{assistant.pk}/channels/new/api/", form)
    channel = Channel.objects.get(name="App")
    assert (answer.status_code, channel.kind, channel.daily_limit) == (302, "api", 7)
    page.post(f"/channels/{channel.pk}/", {"name": "App", "daily_limit": "9"})
    before = channel.public_key
    assert page.post(f"/channels/{channel.pk}/rotate/").status_code == 302
    channel.refresh_from_db()
    assert (channel.daily_limit, channel.public_key != before) == (9, True)
    path = f"/api/v1/assistants/{assistant.pk}/channels/{channel.pk}"
    rotated = api(token).patch(path, {"new_key": True}, format="json").json()
    assert rotated["public_key"] not in (before, channel.public_key)
    for wrong in ("-1", "x", "10000001"):
        assert page.post(f"/channels/{channel.pk}/", {"daily_limit": wrong}).status_code == 200


def test_wechat_is_told_the_address_of_this_server(page, assistant, settings):
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    channel = add(page, assistant, "wechat", WECHAT)
    assert (
        '<pre class="code">127.0.0.1</pre>' in page.get(f"/channels/{channel.pk}/").content.decode()
    )


def test_a_test_is_asked_in_the_language_that_the_page_says(page, assistant):
    path = f"/assistants/{assistant.pk}/tests/"
    case = {"question": "怎么退货", "expects": "refuse", "locked": "on"}
    type(assistant).objects.update(languages=["en", "zh"])
    assert page.post(path, {**case, "language": "zh"}).status_code == 302
    assert page.post(path, {**case, "question": "how", "language": ""}).status_code == 302
    assert page.post(path, {**case, "language": "fr"}).status_code == 200
    languages = dict(assistant.test_cases.values_list("question", "language"))
    assert languages == {"怎么退货": "zh", "how": "en"}
    assert "Chinese" in page.get(path).content.decode()
