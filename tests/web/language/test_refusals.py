"""What is refused before anybody knows who asks is in the language of the browser or its cookie."""

import re

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

pytestmark = pytest.mark.django_db
CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}


def strict() -> Client:
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


REFUSED = {
    "an address that is no text": (lambda client, h: client.get("/teams/%00/", headers=h), 400),
    "a query that is too long": (
        lambda client, h: client.get("/home/?page=" + "9" * 3000, headers=h), 400,
    ),
    "another host": (lambda client, h: client.get("/", headers=h | {"host": "evil.example"}), 400),
    "no token of a form": (lambda client, h: client.post("/accounts/login/", headers=h), 403),
    "no such page": (lambda client, h: client.get("/nowhere/", headers=h), 404),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_speaks_the_readers_language(case):
    ask, status = REFUSED[case]
    by_cookie = strict()
    by_cookie.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
    for answer in (ask(strict(), CHINESE), ask(by_cookie, {})):
        page = answer.content.decode()
        assert answer.status_code == status
        assert answer["Content-Language"] == "zh-hans"
        assert 'lang="zh-hans"' in page
        heading = page.partition("<h1>")[2].partition("</h1>")[0]
        sentence = page.partition("</h1>")[2].partition("<p>")[2].partition("</p>")[0]
        assert heading, page
        assert not heading.isascii()
        assert not sentence.isascii(), sentence
        assert not re.search("[A-Za-z]{2,} [A-Za-z]{2,}", sentence), sentence
    assert 'lang="en"' in ask(strict(), {}).content.decode()


@pytest.mark.parametrize("path", ["/api/v1/%00", "/v1/%00/models"])
def test_the_api_refuses_in_english(path):
    error = strict().get(path, headers=CHINESE).json()["error"]
    assert error["message"].isascii()
    assert error["param"] is None  # An address is no parameter of the request.


def test_the_language_of_a_refusal_does_not_stay_in_the_thread():
    before = translation.get_language()
    strict().get("/teams/%00/", headers=CHINESE)
    assert translation.get_language() == before == settings.LANGUAGE_CODE


def test_a_persons_own_choice_wins_over_the_browser(alice, client_of):
    alice.language = "en"
    alice.save(update_fields=["language"])
    answer = client_of(alice).get("/settings/", headers=CHINESE)
    assert answer["Content-Language"] == "en"
    assert 'lang="en"' in answer.content.decode()
