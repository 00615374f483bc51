"""A founder's first quarter of an hour, in a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.journeys.product import Product, job_of, same_worker, wait_on_page

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    same_worker,
    pytest.mark.skipif(CHROMIUM is None, reason="BROWSER JOURNEY SKIPPED: no chromium here"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MINUTE = 60_000


@pytest.fixture
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class Visitor:
    """One browser window that remembers what went wrong in it and takes numbered pictures."""

    def __init__(self, context: "sync_api.BrowserContext", pictures: Path, prefix: str) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(MINUTE)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._listen)
        self._pictures, self._prefix, self._number = pictures, prefix, 0

    def _listen(self, message: "sync_api.ConsoleMessage") -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def picture(self, name: str) -> None:
        self._number += 1
        path = self._pictures / f"{self._prefix}-{self._number:02d}-{name}.png"
        self.page.screenshot(path=path, full_page=True)


def test_from_sign_up_to_an_answer(
    product: Product, browser: "sync_api.Browser", tickets: Path, pictures: Path
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    me = Visitor(context, pictures, "desktop")
    page = me.page
    page.goto(product.url)
    me.picture("landing")
    sign_up(me, product)
    upload(me, tickets)
    job_url = launch(me)
    watch(me, browser, product, job_url, pictures)
    model_url = read_the_evaluation(me)
    deploy(me, model_url)
    answer(me, product)
    see_the_bill(me)
    assert me.problems == []


def sign_up(me: Visitor, product: Product) -> None:
    page = me.page
    page.goto(f"{product.url}/accounts/signup/")
    page.get_by_label("Email", exact=False).first.fill("ada@acme.example")
    page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url(re.compile("/teams/"))
    me.picture("overview")
    assert page.get_by_text("My first project").first.is_visible()


def upload(me: Visitor, tickets: Path) -> None:
    page = me.page
    page.get_by_role("link", name="Upload your data").click()
    page.set_input_files("input[type=file]", tickets)
    page.get_by_role("button", name="Upload and import").click()
    page.wait_for_url(re.compile("/datasets/"))
    page.get_by_role("link", name="Fine-tune", exact=True).wait_for(timeout=3 * MINUTE)
    me.picture("dataset")
    assert page.get_by_text("300").first.is_visible()


def launch(me: Visitor) -> str:
    page = me.page
    page.get_by_role("link", name="Fine-tune", exact=True).click()
    button = page.locator("#launch-button")
    button.wait_for()
    me.picture("launch")
    estimate = page.locator("#estimate")
    assert "$" in estimate.inner_text()
    seconds = estimate.locator("dd b").nth(1)
    before = seconds.inner_text()
    choose_fewer_epochs(me)
    sync_api.expect(seconds).not_to_have_text(before, timeout=MINUTE)
    assert "$" in estimate.inner_text()
    button.click()
    page.wait_for_url(re.compile("/jobs/"))
    return page.url


def choose_fewer_epochs(me: Visitor) -> None:
    """One: the model of so few rows is fitted again nine times, for their figures to rest on more.
    The estimate follows."""
    me.page.get_by_role("radio", name=re.compile("Expert")).check()
    me.page.get_by_text("Advanced options").click()
    me.page.get_by_label("Epochs", exact=True).fill("1")


def watch(
    me: Visitor, browser: "sync_api.Browser", product: Product, job_url: str, pictures: Path
) -> None:
    """The page moves by itself; a second browser and a reload show the same."""
    page, job = me.page, job_of(job_url)
    wait_on_page(product, job, page.get_by_text(re.compile("Running")).first)
    wait_on_page(product, job, page.get_by_text(re.compile(r"step \d")).first)
    page.wait_for_timeout(2_000)
    me.picture("job-running")
    page.reload()
    page.get_by_text(re.compile(r"Running|Succeeded")).first.wait_for()
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, storage_state=me.page.context.storage_state()
    )
    second = Visitor(phone, pictures, "phone")
    second.page.goto(job_url)
    second.picture("job-running")
    for visitor in (me, second):
        wait_on_page(product, job, visitor.page.get_by_role("link", name="Open the report"))
        visitor.picture("job-succeeded")
    assert second.problems == []


def read_the_evaluation(me: Visitor) -> str:
    page = me.page
    page.get_by_role("link", name="Open the report").click()
    page.wait_for_url(re.compile("/models/"))
    assert page.get_by_text(re.compile("TF-IDF")).first.is_visible()
    url, title = page.url, page.title()
    me.picture("evaluation")
    page.get_by_role("link", name="Files & exports").click()
    page.get_by_role("heading", name="Smaller and quicker").wait_for()  # Loaded from another page,
    assert page.title() == title  # whose title stays there.
    page.goto(url)
    return url


def deploy(me: Visitor, model_url: str) -> None:
    page = me.page
    name = page.locator("#deploy input[name=name]")
    name.wait_for()
    name.fill("support-queue")
    page.locator("#deploy").get_by_role("button", name="Deploy", exact=True).click()
    page.get_by_text("support-queue").first.wait_for()
    me.picture("deployed")


def answer(me: Visitor, product: Product) -> None:
    """An API token made on the page is all a program needs."""
    page = me.page
    page.get_by_role("link", name="API tokens").first.click()
    page.get_by_label("Name").fill("journey")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator("#secret").inner_text().strip()
    me.picture("token")
    body = {"model": "support-queue", "input": "I was charged twice on my invoice this month"}
    got = httpx.post(
        f"{product.url}/v1/classify",
        json=body,
        headers={"Authorization": f"Bearer {secret}"},
        timeout=60,
    )
    assert got.status_code == 200, got.text
    first = got.json()["data"][0]
    assert abs(sum(first["probs"]) - 1) < 1e-3
    assert first["label"] == max(first["scores"], key=lambda one: one["score"])["label"]


def see_the_bill(me: Visitor) -> None:
    page = me.page
    page.wait_for_timeout(2_500)  # Usage is booked once a second.
    page.get_by_role("link", name=re.compile("Usage")).first.click()
    page.get_by_text("Fine-tune").first.wait_for()
    me.picture("usage")
    assert re.search(r"\$0\.\d+", page.locator("main").inner_text())


PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
SMALL = """() => [...document.querySelectorAll("main .btn, main summary, header .btn")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
  .map((one) => one.outerHTML.slice(0, 120))"""


def fits(page):
    """Nothing is wider than the screen, and what is tapped is at least 24 pixels high."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    assert page.evaluate(SMALL) == [], page.url


@pytest.mark.nightly
def test_from_sign_up_to_an_answer_by_touch(product, browser, tickets):
    """On a phone of 360 pixels, by touch alone: every page fits."""
    page = browser.new_context(**PHONE).new_page()
    page.set_default_timeout(MINUTE)
    page.goto(product.url)
    fits(page)
    sign_up_by_touch(page)
    upload_by_touch(page, tickets)
    launch_by_touch(page, product)
    deploy_by_touch(page)
    ask_by_touch(page)


def sign_up_by_touch(page):
    page.get_by_role("link", name="Train your first model").tap()
    page.get_by_label("Email", exact=False).first.fill("phone@acme.example")
    page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
    fits(page)
    page.get_by_role("button", name="Create account").tap()
    page.wait_for_url(re.compile("/teams/"))
    fits(page)


def upload_by_touch(page, tickets):
    page.get_by_role("link", name="Upload your data").tap()
    page.set_input_files("input[type=file]", tickets)
    fits(page)
    page.get_by_role("button", name="Upload and import").tap()
    page.wait_for_url(re.compile("/datasets/"))
    page.get_by_role("link", name="Fine-tune", exact=True).wait_for()
    fits(page)


def launch_by_touch(page, product):
    page.get_by_role("link", name="Fine-tune", exact=True).tap()
    page.locator(".preset", has_text="Quick").tap()
    fits(page)
    page.locator("#launch-button").tap()
    page.wait_for_url(re.compile("/jobs/"))
    fits(page)
    wait_on_page(product, job_of(page.url), page.get_by_role("link", name="Open the report"))
    fits(page)


def deploy_by_touch(page):
    page.get_by_role("link", name="Open the report").tap()
    page.wait_for_url(re.compile("/models/"))
    fits(page)
    page.locator("#deploy input[name=name]").fill("phone-queue")
    page.locator("#deploy").get_by_role("button", name="Deploy", exact=True).tap()
    page.wait_for_url(re.compile("/deployments/"))
    fits(page)


def ask_by_touch(page):
    page.locator("textarea").first.fill("I was charged twice on my invoice this month")
    page.get_by_role("button", name=re.compile("Ask|Predict")).first.tap()
    page.locator("#answer strong").first.wait_for()
    fits(page)
