"""The founder's way on a phone of 360 pixels, by touch alone: every page fits."""

import re

import pytest

from tests.journeys.product import same_worker
from tests.journeys.test_browser import CHROMIUM, FLAGS, MINUTE

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.nightly,
    same_worker,
    pytest.mark.skipif(CHROMIUM is None, reason="BROWSER JOURNEY SKIPPED: no chromium here"),
]
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
SMALL = """() => [...document.querySelectorAll("main .btn, main summary, header .btn")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
  .map((one) => one.outerHTML.slice(0, 120))"""


def fits(page):
    """Nothing is wider than the screen, and what is tapped is at least 24 pixels high."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    assert page.evaluate(SMALL) == [], page.url


def test_from_sign_up_to_an_answer_by_touch(product, tickets):
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(**PHONE).new_page()
        page.set_default_timeout(MINUTE)
        page.goto(product.url)
        fits(page)
        sign_up(page)
        upload(page, tickets)
        launch(page)
        deploy(page)
        ask(page)
        browser.close()


def sign_up(page):
    page.get_by_role("link", name="Train your first model").tap()
    page.get_by_label("Email", exact=False).first.fill("phone@acme.example")
    page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
    fits(page)
    page.get_by_role("button", name="Create account").tap()
    page.wait_for_url(re.compile("/teams/"))
    fits(page)


def upload(page, tickets):
    page.get_by_role("link", name="Upload your data").tap()
    page.set_input_files("input[type=file]", tickets)
    fits(page)
    page.get_by_role("button", name="Upload and import").tap()
    page.wait_for_url(re.compile("/datasets/"))
    page.get_by_role("link", name="Fine-tune", exact=True).wait_for()
    fits(page)


def launch(page):
    page.get_by_role("link", name="Fine-tune", exact=True).tap()
    page.locator(".preset", has_text="Quick").tap()
    fits(page)
    page.locator("#launch-button").tap()
    page.wait_for_url(re.compile("/jobs/"))
    fits(page)
    page.get_by_role("link", name="Open the report").wait_for(timeout=6 * MINUTE)
    fits(page)


def deploy(page):
    page.get_by_role("link", name="Open the report").tap()
    page.wait_for_url(re.compile("/models/"))
    fits(page)
    page.locator("#deploy input[name=name]").fill("phone-queue")
    page.locator("#deploy").get_by_role("button", name="Deploy", exact=True).tap()
    page.wait_for_url(re.compile("/deployments/"))
    fits(page)


def ask(page):
    page.locator("textarea").first.fill("I was charged twice on my invoice this month")
    page.get_by_role("button", name=re.compile("Ask|Predict")).first.tap()
    page.locator("#answer strong").first.wait_for()
    fits(page)
