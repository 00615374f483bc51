"""A mailbox as a channel, through real servers: in, drafted, answered by a person, out."""

import email
from email import policy

import pytest
from django.utils.timezone import now

from accounts.webhooks import secret_encryption
from assistants import delivery
from assistants.conversations import state
from assistants.conversations.situations import read_captured
from assistants.errors import DeliveryNotFailed
from assistants.lifecycle import change_channel, disable_channel
from assistants.mail import receiving
from assistants.mail.account import MailAccount
from assistants.models import Conversation, Decision, Delivery, Mailbox, Message
from assistants.queries import figures
from tests.assistants.mail.servers import server_context, smtp_server

pytestmark = pytest.mark.django_db
QUESTION = (
    "From: Ann <ann@example.com>\nSubject: {subject}\nMessage-ID: <{number}@example.com>\n"
    "\n{text}\n"
)


def ask(box, text="how do i return an order", number=1, subject="Hello"):
    box.put(QUESTION.format(text=text, number=number, subject=subject))


def read(channel) -> int:
    """As the clock does, when the mailbox is due."""
    Mailbox.objects.filter(channel=channel).update(next_at=now())
    return receiving.read_due_mailboxes()


@pytest.fixture
def opened(channel, box):
    """Read for the first time, with an old e-mail in it."""
    ask(box, "this is old", number=0)
    assert read(channel) == 0
    return channel


def test_it_begins_with_the_next_e_mail_and_stores_each_once(opened, box):
    ask(box)
    assert (read(opened), read(opened)) == (1, 0)
    (message,) = Message.objects.all()
    assert message.text == "Hello\n\nhow do i return an order"
    conversation = message.conversation
    assert (conversation.state, conversation.handed_over_reason) == ("waiting", "email")
    assert "ann@example.com" not in conversation.contact


@pytest.mark.slow
def test_a_draft_is_made_and_nothing_is_sent(opened, box):
    ask(box)
    read(opened)
    decision = Decision.objects.get()
    assert (decision.route, decision.reply) == ("draft", None)
    assert "30 days" in decision.draft
    assert decision.candidates[0]["probability"] > 0.5
    assert box.sent == []
    assert not figures.consultations(opened.assistant, opened.created_at, now()).exists()


@pytest.mark.slow
def test_a_question_without_an_answer_waits_without_a_draft_and_is_a_gap(opened, box):
    ask(box, "can i bring my parrot into the opera house")
    read(opened)
    decision = Decision.objects.get()
    assert (decision.route, decision.draft) == ("draft", "")
    assert list(figures.gaps(opened.assistant)) == [decision]


def test_personal_data_is_masked_before_it_is_stored(opened, box):
    ask(box, "my card is 4111 1111 1111 1111", subject="card 4111 1111 1111 1111")
    read(opened)
    assert "4111" not in Message.objects.get().text


def test_a_reply_goes_out_in_the_thread_and_once(opened, box, alice):
    ask(box, subject="Order 7")
    read(opened)
    conversation = Conversation.objects.get()
    state.take(conversation, alice)
    state.reply(conversation, alice, "Send it back within 30 days. 谢谢")
    assert delivery.deliver_due() == 1
    assert delivery.deliver_due() == 0
    (sent,) = box.sent
    mail = email.message_from_bytes(sent, policy=policy.default)
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "ann@example.com", "help@shop.test", "Re: Order 7",
    )  # fmt: skip
    assert mail["In-Reply-To"] == "<1@example.com>"
    assert mail["References"] == "<1@example.com>"
    assert mail.get_content().strip() == "Send it back within 30 days. 谢谢"
    assert Delivery.objects.get().state == "sent"


def test_an_answer_to_the_reply_joins_the_conversation(opened, box, alice):
    ask(box)
    read(opened)
    state.take(Conversation.objects.get(), alice)
    ask(box, "thank you\n\nOn Mon, Nov 3, 2025 Shop <help@shop.test> wrote:\n> old", number=2,
        subject="Re: Hello")  # fmt: skip
    assert read(opened) == 1
    conversation = Conversation.objects.get()
    assert [message.text for message in conversation.messages.all()][1] == "thank you"
    assert conversation.state == "human"


def test_own_mail_and_mail_of_programs_is_left_alone(opened, box):
    box.put("From: help@shop.test\nSubject: x\nMessage-ID: <a>\n\nour own copy\n")
    box.put("From: a@b.c\nAuto-Submitted: auto-replied\nMessage-ID: <b>\n\nI am away\n")
    assert read(opened) == 0
    assert not Message.objects.exists()


@pytest.mark.slow
def test_what_cannot_be_read_is_named_and_the_rest_is_read(opened, box):
    box.put("From: nobody\nSubject: x\n\nno sender\n")
    ask(box, number=2)
    assert read(opened) == 1
    assert "UID 2" in Mailbox.objects.get().problem


@pytest.mark.slow
def test_mail_waits_for_people_while_the_assistant_is_not_live(opened, box):
    opened.assistant.__class__.objects.filter(pk=opened.assistant_id).update(state="paused")
    ask(box)
    assert read(opened) == 1
    assert Conversation.objects.get().state == "waiting"
    assert not Decision.objects.exists()


@pytest.mark.slow
def test_a_mailbox_that_was_numbered_anew_loses_and_doubles_nothing(opened, box):
    ask(box)
    read(opened)
    box.validity, old = 8, dict(box.messages)
    box.messages = {uid + 100: content for uid, content in old.items()}
    ask(box, "where is my parcel", number=2)
    read(opened)
    texts = [message.text for message in Message.objects.order_by("pk")]
    assert texts[0].endswith("how do i return an order")
    assert texts[-1].endswith("where is my parcel")
    assert len(texts) == len(set(texts)) == 3  # The old one of that day comes along, once.
    assert read(opened) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "Invalid credentials"),
        ({"folder": "Nowhere"}, "no folder 'Nowhere'"),
        ({"imap_host": "no-such-host.invalid"}, "cannot be found"),
        ({"imap_port": 1}, "could not be reached: Connection refused"),
    ],
)
def test_an_account_that_is_refused_says_why_and_is_tried_less_often(
    opened, account, alice, change, words
):
    wrong = MailAccount(**{**vars(account), **change})
    change_channel(opened, alice, secrets=wrong.sealed())
    assert read(opened) == 0
    row = Mailbox.objects.get()
    assert words in row.problem
    first = row.next_at
    read(opened)
    assert Mailbox.objects.get().next_at > first
    change_channel(opened, alice, secrets=account.sealed())
    read(opened)
    assert Mailbox.objects.get().problem == ""


@pytest.mark.slow
def test_private_servers_are_refused(opened, settings):
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    read(opened)
    assert "private" in Mailbox.objects.get().problem


def test_a_certificate_of_nobody_is_refused(opened, monkeypatch):
    import ssl

    from assistants.mail import account

    monkeypatch.setattr(account, "ssl_context", ssl.create_default_context)
    read(opened)
    assert "certificate" in Mailbox.objects.get().problem


@pytest.mark.slow
def test_a_refused_reply_is_tried_again_then_given_up_then_sent_by_hand(
    opened, box, alice, monkeypatch
):
    monkeypatch.setattr(delivery, "MOST_ATTEMPTS", 2)
    ask(box)
    read(opened)
    conversation = Conversation.objects.get()
    state.take(conversation, alice)
    message = state.reply(conversation, alice, "words")
    box.refuses = "554 no such person"
    assert delivery.deliver_due() == 0
    row = Delivery.objects.get()
    assert (row.state, "no such person" in row.problem) == ("sending", True)
    with pytest.raises(DeliveryNotFailed):
        delivery.send_again(conversation, message.pk)
    Delivery.objects.update(next_at=now())
    delivery.deliver_due()
    assert Delivery.objects.get().state == "failed"
    box.refuses = ""
    delivery.send_again(conversation, message.pk)
    assert delivery.deliver_due() == 1
    assert Delivery.objects.get().problem == ""


@pytest.mark.slow
@pytest.mark.parametrize("offers_tls", [True, False])
def test_tls_on_request_is_demanded(opened, account, box, alice, tmp_path, offers_tls):
    ask(box)
    read(opened)
    context = server_context(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with smtp_server(box, tls_context=context if offers_tls else None) as port:
        changed = MailAccount(**{**vars(account), "smtp_port": port})
        change_channel(opened, alice, secrets=changed.sealed())
        conversation = Conversation.objects.get()
        state.take(conversation, alice)
        state.reply(conversation, alice, "words")
        assert delivery.deliver_due() == int(offers_tls)
    assert len(box.sent) == int(offers_tls)
    assert ("STARTTLS" in Delivery.objects.get().problem) != offers_tls


def test_a_removed_channel_is_not_read(opened, box, alice):
    disable_channel(opened, alice)
    ask(box)
    sessions = box.sessions
    assert read(opened) == 0
    assert box.sessions == sessions


def test_erasing_a_visitor_takes_their_address_along(opened, box, alice):
    from assistants.conversations import privacy

    ask(box)
    read(opened)
    assert secret_encryption.decrypt(Conversation.objects.get().contact)
    ann = privacy.find_visitors(opened.assistant, "ann@example.com")
    assert privacy.erase_visitors(opened.assistant, ann, alice) == 1
    assert not Conversation.objects.exists()


def test_the_draft_stands_in_the_reply_and_sending_it_teaches(opened, box, alice, client_of):
    ask(box)
    read(opened)
    conversation = Conversation.objects.get()
    browser = client_of(alice)
    browser.post(f"/conversations/{conversation.pk}/take/")
    page = browser.get(f"/conversations/{conversation.pk}/").content.decode()
    draft = Decision.objects.get().draft
    assert f"required>{draft}</textarea>" in page
    key = Decision.objects.get().answer_key
    browser.post(
        f"/conversations/{conversation.pk}/reply/", {"text": draft, "answer": key, "question": "1"}
    )
    judgement = Decision.objects.get().judgement
    assert (judgement.verdict, judgement.answer.key) == ("should_have_answered", key)
    assert delivery.deliver_due() == 1
    mail = email.message_from_bytes(box.sent[0], policy=policy.default)
    assert mail.get_content().strip() == draft
    page = browser.get(f"/conversations/{conversation.pk}/").content.decode()
    assert "Sent to the visitor" in page


@pytest.mark.parametrize("hostile", ["a\0b", "\x1b[31m red", "x" * 60_000])
def test_no_e_mail_stops_the_mailbox(opened, box, hostile):
    ask(box, hostile, subject=hostile[:50])
    box.put(f"From: a@b.c\nMessage-ID: <{hostile[:90]}>\nSubject: x\n\nwords {hostile}\n")
    ask(box, "where is my parcel", number=3)
    assert read(opened) == 3
    assert Mailbox.objects.get().problem == ""


def test_one_reply_that_cannot_be_sent_holds_up_no_other(opened, box, alice):
    ask(box)
    read(opened)
    conversation = Conversation.objects.get()
    state.take(conversation, alice)
    lost = state.reply(conversation, alice, "first")
    Conversation.objects.update(contact="sealed under a key that is gone")
    assert delivery.deliver_due() == 0
    assert "log says why" in Delivery.objects.get(message=lost).problem


def test_what_a_rule_asks_for_is_drafted_and_what_is_given_is_kept(opened, box, live):
    action = {"do": "ask_for", "shape": "order_number", "text": "Which order is it?",
              "then": {"do": "say", "text": "We look for {captured}."}}  # fmt: skip
    tag = {"name": "tag", "when": {"says_any": ["order"]}, "then": {"do": "tag", "tag": "order"}}
    asks = {"name": "which", "when": {"says_any": ["where is my order"]}, "then": action}
    live.rules = [tag, asks]
    live.save(update_fields=["rules"])
    drafts = []
    for number, text in enumerate(("where is my order", "it is AB-120045, call 13812345678"), 1):
        ask(box, text, number=number)
        read(opened)
        drafts.append(Decision.objects.latest("at").draft)
    assert drafts == ["Which order is it?", "We look for AB-120045."]
    conversation = Conversation.objects.get()
    assert read_captured(conversation) == {"order_number": "AB-120045"}
    assert conversation.tags == ["order"]
