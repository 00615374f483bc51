"""The widget in Chromium, on a page that forbids everything but our two origins."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from assistants.conversations.state import close, hand_over
from assistants.lifecycle import add_channel
from assistants.models import Channel, Conversation, Decision
from billing.models import UsageEvent
from tests.assistants.writing.slow_writer import (
    FIRST,
    PRIVATE_WRITER,
    QUESTION,
    SECOND,
    SlowWriter,
    let_write,
)
from tests.inference.processes import free_port, models_process
from tests.web.guard.served import web_process

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Site:
    """A customer's site under the strictest policy that lets our script and frame in."""

    def __init__(self, product: str) -> None:
        self.tag = ""
        policy = f"default-src 'none'; script-src {product}; frame-src {product}"
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f"<!doctype html><title>Shop</title><body><h1>Shop</h1>{site.tag}".encode()
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def page() -> Iterator["sync_api.Page"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page()
        browser.close()


@pytest.fixture
def product(live) -> Iterator[str]:
    """granian, as in production: under Django's own test server no event stream flows."""
    port = free_port()
    models_url = f"http://127.0.0.1:{port}"
    with models_process(port), web_process(MODELS_URL=models_url, **PRIVATE_WRITER) as served:
        yield f"http://127.0.0.1:{served.port}"


@pytest.mark.slow
def test_it_answers_survives_a_reload_and_stays_out_of_other_sites(live, alice, product, page):
    ours, other = Site(product), Site(product)
    channel = add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=[ours.origin])
    tag = f'<script async src="{product}/w/{channel.public_key}.js"></script>'
    ours.tag = other.tag = tag
    problems: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(ours.origin)
    button = page.get_by_role("button", name="Chat")
    button.wait_for()
    ours_only = [url for url in requests if url.startswith(product)]
    assert len(ours_only) == 1  # No request before the click but the loader.
    scripts: list[sync_api.Route] = []
    page.route("**/js/widget.js", lambda route: scripts.append(route))  # Slow to come.
    button.click()
    chat = page.frame_locator("iframe")
    field = chat.locator("textarea")
    sync_api.expect(field).to_be_disabled()  # What nobody would hear cannot be said.
    while not scripts:
        page.wait_for_timeout(50)
    scripts[0].continue_()
    page.unroute("**/js/widget.js")
    field.fill("how do i return an order")
    chat.locator("textarea").press("Enter")
    answer = chat.locator("li[data-author=bot]")
    answer.wait_for()
    assert "30 days" in answer.inner_text()
    deadline = time.monotonic() + 10  # Usage is written once a second.
    while not (paid := UsageEvent.objects.filter(source=live.assistant.source).first()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert paid.units > 3  # Tokens of the question, which the assistant pays for.
    assert [text for text in problems if "Content Security Policy" in text] == []
    page.reload()
    page.get_by_role("button", name="Chat").click()
    page.frame_locator("iframe").locator("li[data-author=bot]").wait_for()
    page.goto(other.origin)
    page.get_by_role("button", name="Chat").click()
    page.wait_for_timeout(1500)
    assert page.frame_locator("iframe").locator("textarea").count() == 0
    assert any("frame-ancestors" in text for text in problems)


@pytest.mark.slow
def test_a_visitor_is_asked_once_after_an_answer_and_a_1_brings_a_person(
    live, alice, product, page
):
    site = Site(product)
    channel = add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=[site.origin])
    site.tag = f'<script async src="{product}/w/{channel.public_key}.js"></script>'
    page.goto(site.origin)
    page.get_by_role("button", name="Chat").click()
    chat = page.frame_locator("iframe")
    chat.locator("textarea").fill("how do i return an order")
    chat.locator("textarea").press("Enter")
    asked = chat.get_by_text("How was this conversation?")
    asked.wait_for()
    page.reload()
    page.get_by_role("button", name="Chat").click()
    chat.locator("li[data-author=bot]").wait_for()
    sync_api.expect(asked).to_have_count(0)  # Once in a conversation.
    with page.expect_response("**/rating"):
        chat.locator("html").evaluate("() => { choices.replaceChildren(rates()); }")
        chat.get_by_role("button", name="1", exact=True).click()
    chat.locator("li[data-author=system]").wait_for()
    assert Conversation.objects.get().handed_over_reason == "csat_1"


@pytest.mark.slow
def test_whoever_builds_the_site_reads_why_a_visitor_is_not_verified(live, alice, product, page):
    site = Site(product)
    channel = add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=[site.origin])
    site.tag = (
        f'<script async src="{product}/w/{channel.public_key}.js"'
        ' data-visitor-id="7" data-visitor-hash="0f"></script>'
    )
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    page.goto(site.origin)
    page.get_by_role("button", name="Chat").click()
    chat = page.frame_locator("iframe")
    sync_api.expect(chat.locator("textarea")).to_be_enabled()
    # And the visitor reads that the chat does not know them, once.
    sync_api.expect(chat.get_by_text("We could not confirm who you are")).to_have_count(1)
    assert "Lathe: this visitor is not verified. This signature is not of this visitor." in warnings


@pytest.mark.slow
def test_a_written_answer_appears_sentence_by_sentence(documented, alice, product, page):
    ours, writer = Site(product), SlowWriter()
    assistant = documented.assistant
    let_write(
        assistant.versions.get(status="live"), writer.url
    )  # The product's own version went live after this one.
    channel = add_channel(assistant, Channel.Kind.WEB, alice, allowed_origins=[ours.origin])
    ours.tag = f'<script async src="{product}/w/{channel.public_key}.js"></script>'
    page.goto(ours.origin)
    page.get_by_role("button", name="Chat").click()
    chat = page.frame_locator("iframe")
    chat.locator("textarea").fill(QUESTION)
    chat.locator("textarea").press("Enter")
    said = chat.locator("[data-messages] li:not([data-author=system])")
    begun = chat.get_by_text(FIRST)
    begun.wait_for()
    assert said.all_inner_texts() == [QUESTION, FIRST]
    writer.may_end.set()
    chat.get_by_text(SECOND).wait_for()
    chat.get_by_role("button", name="Helpful", exact=True).wait_for()
    texts = said.evaluate_all("items => items.map((item) => item.firstChild.textContent)")
    assert texts == [QUESTION, f"{FIRST} {SECOND}"]
    writer.close()


@pytest.mark.slow
def test_two_messages_get_one_answer_and_a_person_edits_a_suggestion(
    live, alice, client_of, product, page
):
    site = Site(product)
    channel = add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=[site.origin])
    site.tag = f'<script async src="{product}/w/{channel.public_key}.js"></script>'
    held: list[sync_api.Route] = []  # The first look at what was said, while somebody writes.
    page.route(
        "**/messages",
        lambda route: route.continue_() if held or route.request.post_data else held.append(route),
    )
    page.goto(site.origin)
    page.get_by_role("button", name="Chat").click()
    chat = page.frame_locator("iframe")
    sync_api.expect(chat.locator("textarea")).to_be_enabled()
    texts = ["how do i return", "an order"]
    chat.locator("form[data-question]").evaluate(  # At once, however slow this machine is.
        """(form, texts) => texts.forEach((text) => {
            form.elements.text.value = text;
            form.requestSubmit();
        })""",
        texts,
    )
    chat.locator("li[data-author=bot]").wait_for()
    held[0].continue_()
    # In the order in which they were written, whichever request came first.
    assert Decision.objects.get().question.split("\n") == texts
    assert chat.locator("li[data-author=visitor]").all_inner_texts() == texts
    chat.locator("textarea").fill("talk to a human please")
    chat.locator("textarea").press("Enter")
    chat.locator("li[data-author=system]").wait_for()

    desk = page.context.browser.new_page()
    session = client_of(alice).cookies["sessionid"].value
    desk.context.add_cookies([{"name": "sessionid", "value": session, "url": product}])
    desk.goto(f"{product}/conversations/{Conversation.objects.get().pk}/")
    desk.get_by_role("button", name="Take this conversation").click()
    desk.get_by_role("link", name="Edit").first.wait_for()
    desk.wait_for_load_state()  # Until the scripts listen, the link leads to the same form.
    desk.get_by_role("link", name="Edit").first.click()
    field = desk.locator("#reply textarea")
    sync_api.expect(field).to_have_value(re.compile("30 days"))
    assert "answer=" not in desk.url  # Filled in place, without leaving the page.
    desk.get_by_role("searchbox", name="Insert an approved answer").fill("store-hours")
    desk.locator("#found-answers").get_by_role("link", name="Insert").click()
    sync_api.expect(field).not_to_have_value(re.compile("30 days"))
    field.fill(field.input_value() + " Bring a goat.")
    desk.locator("#reply").get_by_role("button", name="Send").click()
    chat.locator("li[data-author=person]").wait_for()
    assert "Bring a goat." in chat.locator("li[data-author=person]").inner_text()
    judged = Decision.objects.exclude(judgement=None).get().judgement
    assert (judged.verdict, judged.answer.key) == ("wrong", "store-hours")

    first = Conversation.objects.get()
    close(first, Conversation.Outcome.RESOLVED)
    chat.locator("textarea").fill("how do i return an order")  # In a new conversation.
    chat.locator("textarea").press("Enter")
    sync_api.expect(chat.locator("li[data-author=bot]")).to_have_count(2)
    second = Conversation.objects.exclude(pk=first.pk).get()
    hand_over(second, "rule")
    said = chat.get_by_text("A person will take over").last
    sync_api.expect(said).to_be_visible()  # By its own stream.
