"""Every page in Chinese; who chooses the language; the API stays English."""

import pytest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from accounts.models import User
from accounts.notifications.email import build_notice_email
from accounts.notifications.publish import publish
from tests.web.language.reading import english_in
from tests.web.test_outsiders import concrete, routes

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.5"}
# Help is written in English; streams and files are no pages.
NOT_PAGES = ("admin/", "api/", "v1/", "docs/", "static/", "c/", "__")
# Names of the fixtures, of products, of licences.
ALLOWED = (
    *("my card never arrived", "my money did not reach the recipient"),
    *("the transfer is still pending", "where is the card I ordered"),
    "read, write, inference",
    "Apache License", "Hugging Face", "Stripe", "Standard Webhooks", "Acme", "MiniLM",
)  # fmt: skip


def chinese_pages(client, things):
    """(Route, page) of everything that answers a GET with a page."""
    for route, _ in routes():
        if route.startswith(NOT_PAGES) or "stream" in route or "live" in route:
            continue
        answer = client.get(concrete(route, things), **CHINESE)
        is_html = answer.headers.get("Content-Type", "").startswith("text/html")
        if is_html and not answer.streaming and answer.status_code < 500:
            yield route, answer.content.decode()


def test_no_page_shows_an_english_sentence_to_a_chinese_reader(things, alice, client_of):
    client = client_of(alice)
    found, count = {}, 0
    for route, page in chinese_pages(client, things):
        count += 1
        if texts := english_in(page, ALLOWED):
            found[route] = texts
    assert count > 60
    assert found == {}


def test_the_browser_chooses_until_the_account_does(client, alice, client_of):
    assert "登录" in client.get("/accounts/login/", **CHINESE).content.decode()
    assert 'lang="en"' in client.get("/accounts/login/").content.decode()
    signed_in = client_of(alice)
    form = {"first_name": "Alice", "last_name": "", "language": "zh-hans"}
    saved = signed_in.post("/settings/", form, follow=True)
    assert 'lang="zh-hans"' in saved.content.decode()
    assert "您的账户" in signed_in.get("/settings/").content.decode()
    form["language"] = "en"
    signed_in.post("/settings/", form)
    assert "Your account" in signed_in.get("/settings/", **CHINESE).content.decode()
    form["language"] = "klingon"
    assert signed_in.post("/settings/", form).status_code == 400


def test_a_refusal_is_chinese_on_a_page_and_english_in_the_api(
    client, api, token, alice, client_of
):
    page = client_of(alice).get("/teams/nobodys/", **CHINESE)
    assert page.status_code == 404
    assert "Nothing" not in page.content.decode()
    answer = api(token).get("/api/v1/datasets/0/", **CHINESE)
    assert answer.status_code == 404
    assert not any("一" <= letter <= "鿿" for letter in answer.content.decode())


def test_validation_speaks_chinese(client, db):
    sent = client.post("/accounts/login/", {"login": "no", "password": ""}, **CHINESE)
    assert "输入有效的" in sent.content.decode() or "请输入" in sent.content.decode()


@pytest.mark.parametrize(
    ("english", "shown"),
    [
        ("Email Addresses", "邮箱"),
        ("Create Passkey", "创建通行密钥"),
        ("Authenticator App", "身份验证器应用"),
    ],
)
def test_the_pages_of_sign_in_use_our_words(english, shown):
    with translation.override("zh-hans"):
        assert gettext(english) == shown


def test_who_signs_up_in_chinese_gets_chinese_mail(client, db):
    form = {"email": "li@acme.example", "password1": "a lathe turns wood 42"}
    client.post("/accounts/signup/", form, **CHINESE)
    assert User.objects.get(email="li@acme.example").language == "zh-hans"


def test_an_email_is_in_its_readers_language(team, alice, bob):
    User.objects.filter(pk=alice.pk).update(language="zh-hans")
    publish(team, "training_job.failed", "Welcome to Acme.")
    notice = team.notices.get(event="training_job.failed")
    mails = {
        person: build_notice_email(notice, team.memberships.get(user=person))
        for person in (alice, bob)
    }
    assert "欢迎加入 Acme" in mails[alice].subject
    assert "成员" in mails[alice].body
    assert "Welcome to Acme" in mails[bob].subject


def test_plurals_follow_the_language(client_of, alice, things, project):
    page = client_of(alice).get(reverse("projects:overview", args=[things["slug"]]))
    assert "1 dataset ·" in page.content.decode()
    page = client_of(alice).get(reverse("projects:overview", args=[things["slug"]]), **CHINESE)
    assert "1 个数据集" in page.content.decode()


@pytest.mark.parametrize("language", ["zh-TW", "zh", "zh-Hans-CN"])
def test_every_chinese_browser_gets_chinese(client, db, language):
    page = client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE=language)
    assert 'lang="zh-hans"' in page.content.decode()
