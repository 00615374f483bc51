"""The pages about plan and payment, with Stripe behind them and without."""

import re
import uuid

import pytest

from accounts.models import Membership, Role
from billing.models import Subscription, TopUp

pytestmark = pytest.mark.django_db
PAGE = "/teams/acme-labs/plan/"


def form_of(page, action=None):
    """The hidden id that the page's form carries."""
    html = page.content.decode()
    place = html[html.index(f'action="{action}"') :] if action else html
    return re.search(r'name="request_id" value="([\w-]+)"', place)[1]


def test_without_a_key_the_page_says_local_mode(alice, client_of):
    html = client_of(alice).get(PAGE).content.decode()
    assert "Local mode" in html
    assert "Free" in html
    assert "Choose" not in html
    assert "Add credit" not in html


@pytest.mark.parametrize("path", ["top-up/", "to/team/", "end/", "keep/", "portal/"])
def test_without_a_key_every_deed_is_refused_in_a_sentence(alice, client_of, path):
    answer = client_of(alice).post(PAGE + path, {"request_id": str(uuid.uuid4()), "dollars": "25"})
    assert answer.status_code == 409
    assert "That did not work" in answer.content.decode()


def test_from_the_page_to_stripe_and_back(story, alice, client_of):
    browser = client_of(alice)
    assert "Choose Team" in browser.get(PAGE).content.decode()
    page = browser.get(f"{PAGE}to/team/")
    assert "Continue to Stripe" in page.content.decode()
    answer = browser.post(f"{PAGE}to/team/", {"request_id": form_of(page)})
    assert answer.status_code == 302
    assert answer["Location"].startswith("https://checkout.stripe.com/")
    story.world.pay(answer["Location"].rpartition("/")[2])
    story.deliver()
    html = browser.get(PAGE).content.decode()
    assert "Active" in html
    assert "$20.00" in html
    assert "LATHE-" in html
    preview = browser.get(f"{PAGE}next-invoice/").content.decode()
    assert "Team plan" in preview
    page = browser.get(f"{PAGE}to/scale/")
    assert "Your next invoice after the change" in page.content.decode()
    answer = browser.post(f"{PAGE}to/scale/", {"request_id": form_of(page)}, follow=True)
    assert "now on the Scale plan" in answer.content.decode()
    page = browser.get(PAGE)
    browser.post(f"{PAGE}end/", {"request_id": form_of(page, f"{PAGE}end/")})
    assert "Keep the subscription" in browser.get(PAGE).content.decode()
    page = browser.get(PAGE)
    browser.post(f"{PAGE}keep/", {"request_id": form_of(page, f"{PAGE}keep/")})
    assert Subscription.objects.get().cancel_at is None
    assert browser.post(f"{PAGE}portal/")["Location"].startswith("https://billing.stripe.com/")


def test_a_top_up_from_the_page(story, alice, client_of):
    browser = client_of(alice)
    form = {"request_id": form_of(browser.get(PAGE)), "dollars": "40.50"}
    answer = browser.post(f"{PAGE}top-up/", form)
    session_id = answer["Location"].rpartition("/")[2]
    story.world.pay(session_id)
    waiting = browser.get(f"{PAGE}paid/?session_id={session_id}", headers={"HX-Request": "true"})
    assert "load delay:3s" in waiting.content.decode()
    story.deliver()
    done = browser.get(f"{PAGE}paid/?session_id={session_id}", headers={"HX-Request": "true"})
    assert "$40.50 of credit added" in done.content.decode()
    assert "hx-get" not in done.content.decode()
    html = browser.get(PAGE).content.decode()
    assert "Paid" in html
    assert "$40.50" in html


@pytest.mark.parametrize("dollars", ["", "x", "0", "4.99", "5000.01", "-5", "1e9", "5.005", "NaN"])
def test_an_amount_out_of_bounds_is_refused_in_a_sentence(story, alice, client_of, dollars):
    form = {"request_id": str(uuid.uuid4()), "dollars": dollars}
    answer = client_of(alice).post(f"{PAGE}top-up/", form)
    assert answer.status_code == 400
    assert "That did not work" in answer.content.decode()
    assert not TopUp.objects.exists()


@pytest.mark.parametrize("path", ["top-up/", "to/team/", "end/", "keep/", "portal/"])
def test_members_and_viewers_may_look_only(story, bob, vera, client_of, path):
    for person in (bob, vera):
        html = client_of(person).get(PAGE).content.decode()
        assert "Choose Team" not in html
        assert "Add credit" not in html
        form = {"request_id": str(uuid.uuid4()), "dollars": "25"}
        assert client_of(person).post(PAGE + path, form).status_code == 403
    assert not story.server.calls("POST", "/v1/checkout")


def test_the_billing_role_may_pay(story, vera, client_of):
    Membership.objects.filter(user=vera).update(role=Role.BILLING)
    assert "Choose Team" in client_of(vera).get(PAGE).content.decode()


def test_strangers_see_nothing(story, mallory, client_of):
    for path in ["", "to/team/", "next-invoice/", "paid/?session_id=cs_test_1"]:
        assert client_of(mallory).get(PAGE + path).status_code == 404


def test_another_teams_session_is_not_shown(story, alice, other_team, mallory, client_of):
    row = story.open_top_up()
    url = f"/teams/others/plan/paid/?session_id={row.session_id}"
    assert client_of(mallory).get(url).status_code == 404
    for strange in ["", "x", "cs_test_none", "cs_../x", "cs_" + "a" * 500]:
        answer = client_of(alice).get(f"{PAGE}paid/?session_id={strange}")
        assert answer.status_code in {404, 409}


def test_stripe_being_away_is_a_sentence(story, alice, client_of):
    story.server.break_next("POST", "/v1/checkout/sessions", "429")
    form = {"request_id": str(uuid.uuid4()), "dollars": "25"}
    answer = client_of(alice).post(f"{PAGE}top-up/", form)
    assert answer.status_code == 503
    assert "Stripe is busy" in answer.content.decode()


def test_the_api_tells_plan_and_plans(story, token, api):
    story.subscribe("team")
    answer = api(token).get("/api/v1/subscription").json()
    assert (answer["plan"], answer["status"], answer["billing"]) == ("team", "active", "stripe")
    assert answer["credit_micros"] == 20_000_000
    plans = api(token).get("/api/v1/plans").json()["data"]
    assert [plan["id"] for plan in plans] == ["free", "team", "scale"]
    assert plans[1]["monthly_cents"] == 4_900


def test_the_api_works_without_stripe(token, api):
    answer = api(token).get("/api/v1/subscription").json()
    assert (answer["plan"], answer["status"], answer["billing"]) == ("free", None, "local")
