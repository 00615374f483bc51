"""WeChat's published vectors, and the story of its calls: slow answers, retries, forgeries."""

import json
import threading
import time

import httpx
import pytest
from django.utils.timezone import now

from assistants import delivery
from assistants.conversations import consulting, state
from assistants.errors import WechatRefused
from assistants.lifecycle import add_channel
from assistants.models import Channel, Conversation, Delivery, Message
from assistants.wechat import crypto, replying
from assistants.wechat.messages import cut_text, parse_xml, read_message
from assistants.wechat.replying import Account

TOKEN, APP_ID = "123456", "wx49f0ab532d5d035a"
KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"


def test_the_handshake_signature_is_the_published_one():
    assert crypto.sign("test", "1410685589", "test") == "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"


def test_what_was_encrypted_is_decrypted_for_its_account_only():
    sealed = crypto.encrypt(KEY, APP_ID, "<xml>你好</xml>")
    assert crypto.decrypt(KEY, APP_ID, sealed) == "<xml>你好</xml>"
    for wrong in (sealed[:-4] + "AAA=", "!", "", sealed[:40]):
        with pytest.raises(WechatRefused):
            crypto.decrypt(KEY, APP_ID, wrong)
    with pytest.raises(WechatRefused, match="another account"):
        crypto.decrypt(KEY, "wx0000000000000000", sealed)


def test_encrypting_with_known_random_bytes_gives_the_same_cipher_text():
    one, two = (crypto.encrypt(KEY, APP_ID, "<xml/>", b"1234567890123456") for _ in "12")
    assert one == two


@pytest.mark.parametrize(
    "bomb",
    [
        "<xml",
        "",
        '<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml>&a;</xml>',
    ],
)
def test_entities_and_rubbish_are_refused(bomb):
    with pytest.raises(WechatRefused):
        parse_xml(bomb)


def test_recognised_speech_is_taken_as_text():
    fields = {"FromUserName": "a", "ToUserName": "b", "MsgType": "voice", "Recognition": "退货"}
    assert read_message(fields).text == "退货"


def test_texts_are_cut_between_characters():
    first, rest = cut_text("汉" * 1000)
    assert len(first.encode()) <= 2048
    assert first + rest == "汉" * 1000


@pytest.fixture
def channel(live, alice) -> Channel:
    account = Account(APP_ID, "secret", TOKEN, "")
    return add_channel(
        live.assistant, Channel.Kind.WECHAT, alice, secrets_sealed=account.sealed(),
        customer_messages=True,
    )  # fmt: skip


def call(client, channel, text, message_id="1", *, token=TOKEN, age=0):
    timestamp, nonce = str(int(time.time()) - age), "n"
    signature = crypto.sign(token, timestamp, nonce)
    body = (
        f"<xml><ToUserName>acc</ToUserName><FromUserName>user</FromUserName>"
        f"<CreateTime>1</CreateTime><MsgType>text</MsgType><Content>{text}</Content>"
        f"<MsgId>{message_id}</MsgId></xml>"
    )
    return client.post(
        f"/wechat/{channel.public_key}/?signature={signature}&timestamp={timestamp}&nonce={nonce}",
        body, content_type="text/xml",
    )  # fmt: skip


@pytest.mark.django_db
def test_a_handshake_is_echoed_only_when_signed(client, channel):
    stamp = str(int(time.time()))
    good = crypto.sign(TOKEN, stamp, "n")
    base = f"/wechat/{channel.public_key}/?timestamp={stamp}&nonce=n&echostr=hi&signature="
    assert client.get(base + good).content == b"hi"
    assert client.get(base + "0" * 40).status_code == 403


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_forged_and_old_messages_store_nothing(client, channel):
    assert call(client, channel, "hi", token="wrong").status_code == 403
    assert call(client, channel, "hi", age=3600).status_code == 403
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_quick_answer_is_the_reply_and_a_retry_gets_the_same(client, channel):
    first = call(client, channel, "how do i return an order")
    assert "30 days" in first.content.decode()
    again = call(client, channel, "how do i return an order")
    assert "30 days" in again.content.decode()
    assert Message.objects.filter(author="bot").count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_slow_answer_comes_once_as_a_message_of_its_own(client, channel, monkeypatch):
    sent, arrived = [], threading.Event()

    def post(url, **more):
        if "custom/send" in url:
            sent.append(more["content"].decode())
            arrived.set()
        reply = {"access_token": "t", "expires_in": 7200, "errcode": 0}
        return httpx.Response(200, json=reply, request=httpx.Request("POST", url))

    decide = consulting.decide

    def slow(*args, **more):
        time.sleep(1.5)
        return decide(*args, **more)

    monkeypatch.setattr(replying.httpx, "post", post)
    monkeypatch.setattr(consulting, "decide", slow)
    monkeypatch.setattr(replying, "REPLY_SECONDS", 0.3)
    for _ in range(3):  # WeChat's three tries.
        assert call(client, channel, "how do i return an order").content == b"success"
    assert arrived.wait(10)
    time.sleep(0.5)
    assert len(sent) == 1
    assert "30 days" in sent[0]


@pytest.fixture
def wechat_calls(monkeypatch):
    """What WeChat was sent, and an answer of its for each address."""
    calls, answers = [], {"stable_token": {"access_token": "t", "expires_in": 7200}, "send": {}}

    def post(url, **more):
        name = url.rpartition("/")[2]
        calls.append((name, more.get("content", b"").decode()))
        return httpx.Response(200, json=answers[name], request=httpx.Request("POST", url))

    replying.cache.clear()
    monkeypatch.setattr(replying.httpx, "post", post)
    return calls, answers


def ask_for_a_person(client, channel, alice) -> Conversation:
    """A visitor of WeChat whom Alice has taken over."""
    call(client, channel, "talk to a person", "7")
    conversation = Conversation.objects.get()
    state.take(conversation, alice)
    return conversation


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_persons_reply_reaches_the_visitor_as_a_message(client, channel, alice, wechat_calls):
    calls, answers = wechat_calls
    conversation = ask_for_a_person(client, channel, alice)
    assert "user" not in conversation.contact  # Sealed.
    answers["send"] = {"errcode": 45015, "errmsg": "response out of time limit"}
    state.reply(conversation, alice, "您好，我来帮您")
    assert delivery.deliver_due() == 0
    assert "out of time limit" in Delivery.objects.get().problem
    answers["send"] = {"errcode": 0}
    Delivery.objects.update(next_at=now())
    assert delivery.deliver_due() == 1
    assert delivery.deliver_due() == 0
    assert json.loads(calls[-1][1]) == {
        "touser": "user", "msgtype": "text", "text": {"content": "您好，我来帮您"},
    }  # fmt: skip


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_long_reply_is_sent_in_parts_and_goes_on_where_it_failed(
    client, channel, alice, wechat_calls, monkeypatch
):
    conversation = ask_for_a_person(client, channel, alice)
    text = "".join(chr(0x4E00 + number) for number in range(1_900))
    state.reply(conversation, alice, text)
    taken, send = [], replying.send_message

    def send_two(channel, recipient, part):
        if len(taken) == 2:
            raise httpx.ConnectTimeout("gone")
        send(channel, recipient, part)
        taken.append(part)

    monkeypatch.setattr(replying, "send_message", send_two)
    assert delivery.deliver_due() == 0
    monkeypatch.setattr(replying, "send_message", send)
    Delivery.objects.update(next_at=now())
    assert delivery.deliver_due() == 1
    parts = [
        json.loads(body)["text"]["content"] for name, body in wechat_calls[0] if name == "send"
    ]
    assert "".join(parts) == text
    assert all(len(part.encode()) <= 2_048 for part in parts)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_without_the_right_to_send_a_reply_comes_with_the_next_message(
    client, channel, alice, wechat_calls
):
    Channel.objects.filter(pk=channel.pk).update(settings={"customer_messages": False})
    conversation = ask_for_a_person(client, channel, alice)
    for text in ("one moment", "it is on its way"):
        state.reply(conversation, alice, text)
    assert delivery.deliver_due() == 0
    assert {row.state for row in Delivery.objects.all()} == {"failed"}
    assert "next message" in Delivery.objects.first().problem
    answer = call(client, channel, "and now?", "8").content.decode()
    assert "one moment\n\nit is on its way" in answer
    assert {row.state for row in Delivery.objects.all()} == {"sent"}
    # It did not arrive: WeChat asks again under the same id.
    again = call(client, channel, "and now?", "8").content.decode()
    assert "one moment\n\nit is on its way" in again
    assert call(client, channel, "and now?", "9").content == b"success"
    assert wechat_calls[0] == []
