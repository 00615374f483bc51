"""The widget's microphone and speaker in Chromium, whose recogniser and voice are stand-ins."""

from collections.abc import Iterator

import pytest

from assistants.lifecycle import add_channel
from assistants.models import Assistant, Channel
from tests.assistants.voice.recordings import record
from tests.assistants.widget.test_widget_browser import CHROMIUM, FLAGS, Site
from tests.inference.processes import free_port, models_process
from tests.web.guard.served import web_process

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
]
MEDIA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
STAND_IN = """
window.spoken = [];
window.webkitSpeechRecognition = window.SpeechRecognition = class {
  start() {
    window.started = this;
    window.latheHear = (text) => {
      this.onresult({ results: [[{ transcript: text }]] });
      this.onend();
    };
  }
  stop() { this.onend(); }
};
Object.defineProperty(window, "speechSynthesis", {
  value: { speak: (words) => window.spoken.push(words.text + "|" + words.lang), cancel() {} },
});
"""


@pytest.fixture
def page() -> Iterator["sync_api.Page"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *MEDIA])
        yield browser.new_page()
        browser.close()


@pytest.fixture
def product(live) -> Iterator[str]:
    """granian, which may reach the audio server on loopback."""
    port = free_port()
    allowed = {"LATHE_WEBHOOKS_ALLOW_HTTP": "true", "LATHE_WEBHOOKS_ALLOW_PRIVATE": "true"}
    models_url = f"http://127.0.0.1:{port}"
    with models_process(port), web_process(MODELS_URL=models_url, **allowed) as served:
        yield f"http://127.0.0.1:{served.port}"


def open_chat(page, product, live, alice) -> tuple["sync_api.FrameLocator", list[str]]:
    """The frame on a strict site, and what the console says of its policy."""
    site = Site(product)
    channel = add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=[site.origin])
    site.tag = f'<script async src="{product}/w/{channel.public_key}.js"></script>'
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto(site.origin)
    page.get_by_role("button", name="Chat").click()
    chat = page.frame_locator("iframe")
    chat.locator("textarea").wait_for()
    return chat, problems


def frame_of(page) -> "sync_api.Frame":
    return next(frame for frame in page.frames if "/w/" in frame.url)


@pytest.mark.slow
def test_the_browser_hears_and_speaks_after_the_visitor_has_agreed(live, alice, product, page):
    Assistant.objects.update(voice="browser")
    page.add_init_script(STAND_IN)
    chat, problems = open_chat(page, product, live, alice)
    assert page.locator("iframe").get_attribute("allow") == "microphone"
    microphone = chat.get_by_role("button", name="Speak")
    microphone.focus()
    page.keyboard.press("Enter")  # By keyboard alone.
    notice = chat.get_by_role("group")
    assert "send the recording to their maker" in notice.inner_text()
    assert frame_of(page).evaluate("window.started") is None
    page.keyboard.press("Escape")  # Declined: nothing listens, and the chat stays open.
    assert not notice.is_visible()
    assert page.locator("iframe").is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # The focus is on "Continue".
    assert microphone.get_attribute("aria-pressed") == "true"
    assert "Listening" in chat.get_by_role("status").inner_text()
    frame_of(page).evaluate("latheHear('how do i return an order')")
    answer = chat.locator("li[data-author=bot]")
    answer.wait_for()
    assert "30 days" in answer.inner_text()
    assert microphone.get_attribute("aria-pressed") == "false"
    [spoken] = frame_of(page).evaluate("window.spoken")
    assert "30 days" in spoken
    assert spoken.endswith("|en-US")
    chat.locator("textarea").fill("how do i return an order")
    chat.locator("textarea").press("Enter")
    answer.nth(1).wait_for()
    assert len(frame_of(page).evaluate("window.spoken")) == 1  # Written questions are not read out.
    chat.get_by_role("button", name="Read aloud").click()
    chat.locator("textarea").fill("how do i return an order")
    chat.locator("textarea").press("Enter")
    answer.nth(2).wait_for()
    assert len(frame_of(page).evaluate("window.spoken")) == 2
    assert [text for text in problems if "Content Security Policy" in text] == []


@pytest.mark.nightly
def test_a_browser_without_a_recogniser_shows_no_microphone(live, alice, product, page):
    Assistant.objects.update(voice="browser")
    page.add_init_script("delete window.webkitSpeechRecognition; delete window.SpeechRecognition;")
    chat, _ = open_chat(page, product, live, alice)
    chat.get_by_role("button", name="Read aloud").wait_for()
    assert chat.get_by_role("button", name="Speak").count() == 0


@pytest.mark.slow
def test_a_recording_is_heard_by_the_server_and_the_reply_played(
    voiced, live, alice, audio_server, product, page
):
    audio_server.spoken = record("mp3", 1)
    chat, problems = open_chat(page, product, live, alice)
    chat.get_by_role("button", name="Speak").click()
    assert "It is not kept" in chat.get_by_role("group").inner_text()
    with page.expect_response(lambda answer: "/speech/" in answer.url) as played:
        chat.get_by_role("button", name="Continue").click()
        microphone = chat.get_by_role("button", name="Speak", pressed=True)
        microphone.wait_for()
        page.wait_for_timeout(1_000)
        microphone.click()
    assert played.value.status == 200, played.value.text()
    assert "30 days" in chat.locator("li[data-author=bot]").inner_text()
    [heard] = audio_server.heard
    assert len(heard.audio) > 16_000  # Half a second at least.
    assert chat.get_by_role("status").inner_text() == ""
    assert [text for text in problems if "Content Security Policy" in text] == []
