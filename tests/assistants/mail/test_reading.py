"""What is taken of an e-mail: its sender's own words, and no mail of programs."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistants.mail.reading import parse_mail, without_quotes

HEAD = "From: Ann Lee <Ann@Example.com>\nTo: help@shop.test\nMessage-ID: <1@example.com>\n"


def mail(body: str, *headers: str, subject: str = "A question") -> bytes:
    lines = [HEAD + f"Subject: {subject}", *headers]
    return ("\n".join(lines) + f"\n\n{body}").encode()


def test_sender_subject_and_text_are_read():
    read = parse_mail(mail("How do I return it?\n"))
    assert (read.sender, read.subject) == ("ann@example.com", "A question")
    assert (read.text, read.message_id) == ("How do I return it?", "<1@example.com>")


def test_who_is_answered_is_who_is_known():
    read = parse_mail(mail("words", "Reply-To: Form <visitor@example.org>"))
    assert read.sender == "visitor@example.org"


QUOTED = {
    "Gmail": (
        "Yes, please.\n\nOn Mon, Nov 3, 2025 at 4:00 PM Shop <h@shop.test> wrote:\n> Shall we?\n",
        "Yes, please.",
    ),
    "Gmail in two lines": (
        "Yes.\n\nOn Mon, Nov 3, 2025 at 4:00 PM Shop\n<h@shop.test> wrote:\n\n> Shall we?\n",
        "Yes.",
    ),
    "Outlook": (
        "Still waiting.\n\n-----Original Message-----\nFrom: Shop <h@shop.test>\nSent: Monday\n"
        "To: me\nSubject: Re: x\n\nSoon.\n",
        "Still waiting.",
    ),
    "QQ": (
        "收到，谢谢\n\n------------------ 原始邮件 ------------------\n"
        '发件人: "Shop"<h@shop.test>;\n发送时间: 2025年11月3日\n\n旧的内容\n',
        "收到，谢谢",
    ),
    "Chinese Gmail": (
        "我的订单在哪里？\n\nShop <h@shop.test> 于2025年11月3日周一 16:00写道：\n> 已发货\n",
        "我的订单在哪里？",
    ),
    "163": (
        '请退款\n\n在 2025-11-03 16:00:00，"Shop" <h@shop.test> 写道：\n旧的内容\n',
        "请退款",
    ),
    "only a quotation": ("> Is it still there?\n", "> Is it still there?"),
    "words that look like a head": (
        "店员这样写道：\n不能退货，对吗？\n",
        "店员这样写道：\n不能退货，对吗？",
    ),
}


@pytest.mark.parametrize("name", QUOTED)
def test_what_is_quoted_is_left_out_and_nothing_else(name):
    text, own = QUOTED[name]
    assert without_quotes(text) == own


def test_html_becomes_its_words():
    html = (
        "<html><head><title>x</title><style>p{}</style></head><body><p>Hello&nbsp;there,</p>"
        "<div>where is my order?<br>It was A&amp;B.</div><script>no()</script></body></html>"
    )
    read = parse_mail(mail(html, "MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8"))
    assert read.text.split("\n") == ["Hello\xa0there,", "where is my order?", "It was A&B."]


def test_the_plain_part_wins_and_attachments_are_no_text():
    body = (
        "--x\nContent-Type: multipart/alternative; boundary=y\n\n--y\nContent-Type: text/plain\n\n"
        "plain words\n--y\nContent-Type: text/html\n\n<p>html words</p>\n--y--\n"
        "--x\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
        "JVBERg==\n--x--\n"
    )
    read = parse_mail(mail(body, "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=x"))
    assert read.text == "plain words"


@pytest.mark.parametrize("charset", ["gb18030", "big5", "shift_jis", "iso-8859-1"])
def test_other_encodings_are_read(charset):
    words = {"gb18030": "退货", "big5": "退貨", "shift_jis": "返品", "iso-8859-1": "Größe"}[charset]
    head = HEAD.encode() + f"Subject: =?{charset}?B?".encode()
    head += base64.b64encode(words.encode(charset)) + b"?=\n"
    content = f"MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n\n".encode()
    read = parse_mail(head + content + words.encode(charset))
    assert (read.subject, read.text) == (words, words)


AUTOMATIC = [
    "Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated; x=1", "Precedence: bulk",
    "List-Id: <news.example.com>", "List-Unsubscribe: <https://example.com>", "Return-Path: <>",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
]  # fmt: skip


@pytest.mark.parametrize("header", AUTOMATIC)
def test_programs_and_lists_are_left_alone(header):
    assert parse_mail(mail("words", header)) is None
    assert parse_mail(mail("words", "Auto-Submitted: no")) is not None


def test_a_mail_without_an_id_has_the_same_one_each_time():
    content = b"From: a@b.c\nSubject: x\n\nwords"
    first, second = parse_mail(content), parse_mail(content)
    assert first.external_id == second.external_id
    assert len(first.external_id) <= 100


@given(st.binary(max_size=400), st.integers(0, 300))
def test_damaged_mail_is_read_or_refused_by_name(noise, place):
    whole = mail("words\n", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8")
    with suppress(ValueError):
        parse_mail(whole[:place] + noise + whole[place:])
