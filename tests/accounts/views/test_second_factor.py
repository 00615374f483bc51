"""Who cannot set up a second factor yet reads what to do."""

import pytest
from allauth.account.models import EmailAddress

CALLOUT = "so that only"


@pytest.mark.parametrize("path", ["/accounts/2fa/", "/accounts/2fa/totp/activate/"])
def test_who_has_not_confirmed_an_address_is_led_to_where_that_is_done(alice, client_of, path):
    EmailAddress.objects.filter(user=alice).update(verified=False)
    html = client_of(alice).get(path, follow=True).content.decode()
    [paragraph] = [part for part in html.split("</p>") if CALLOUT in part]
    assert "alice@acme.test" in paragraph
    assert 'href="/accounts/email/"' in paragraph


def test_a_second_address_that_is_not_confirmed_is_named_as_well(alice, client_of):
    EmailAddress.objects.create(user=alice, email="<b>@acme.test", verified=False)
    html = client_of(alice).get("/accounts/2fa/").content.decode()
    [paragraph] = [part for part in html.split("</p>") if CALLOUT in part]
    assert "&lt;b&gt;@acme.test" in paragraph
    assert "alice@acme.test" not in paragraph


def test_who_has_confirmed_reads_nothing_of_it(alice, client_of):
    assert CALLOUT not in client_of(alice).get("/accounts/2fa/").content.decode()


def test_a_stranger_signs_in_first(db, client):
    answer = client.get("/accounts/2fa/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
