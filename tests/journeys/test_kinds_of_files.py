"""Files that people really have go from the upload page to a deployed model, in a browser; a large
one goes on after its connection dropped."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest

from tests.journeys.product import Product, job_of, same_worker, wait_on_page
from tests.journeys.test_browser import CHROMIUM, FLAGS, MINUTE, Visitor, choose_fewer_epochs

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.nightly,
    same_worker,
    pytest.mark.skipif(CHROMIUM is None, reason="BROWSER JOURNEY SKIPPED: no chromium here"),
]
TOPICS = {
    "delivery": "my parcel came late",
    "refund": "give my money back",
    "login": "my key fails",
}
ROWS = [(f"{TOPICS[topic]}, case {n}", topic) for n, topic in enumerate([*TOPICS] * 20)]
CHINESE = {"配送": "我的快递还没有到", "退款": "请把钱退给我", "登录": "我的密码不能用"}


def gb18030(path: Path) -> None:
    rows = [f"{CHINESE[topic]}，编号{n},{topic}" for n, topic in enumerate([*CHINESE] * 20)]
    path.write_bytes("\n".join(["文本,类别", *rows]).encode("gb18030"))


def old_mac(path: Path) -> None:
    rows = [f'"{text}",{topic}' for text, topic in ROWS]
    path.write_bytes("\r".join(["text,topic", *rows]).encode())


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [("text", "topic"), *ROWS]:
        book.active.append(row)
    book.save(path)


def label_studio(path: Path) -> None:
    def task(number: int, text: str, topic: str) -> dict[str, object]:
        choice = {
            "from_name": "topic", "to_name": "text", "type": "choices",
            "value": {"choices": [topic]},
        }  # fmt: skip
        return {"id": number, "data": {"text": text}, "annotations": [{"result": [choice]}]}

    path.write_text(json.dumps([task(n, *row) for n, row in enumerate(ROWS)]))


FILES: dict[str, Callable[[Path], None]] = {
    "chinese.csv": gb18030, "mac.csv": old_mac, "book.xlsx": workbook, "tasks.json": label_studio,
}  # fmt: skip


@pytest.fixture(scope="module")
def me(product: Product, pictures: Path) -> Iterator[Visitor]:
    """Somebody signed up, in one browser for all files."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visitor = Visitor(browser.new_context(), pictures, "files")
        visitor.page.goto(f"{product.url}/accounts/signup/")
        visitor.page.get_by_label("Email", exact=False).first.fill("files@acme.example")
        visitor.page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
        visitor.page.get_by_role("button", name="Create account").click()
        visitor.page.wait_for_url(re.compile("/teams/"))
        visitor.page.evaluate("localStorage.home = location.href")
        yield visitor
        browser.close()


@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_a_deployed_model(
    name: str, me: Visitor, product: Product, tmp_path: Path
) -> None:
    FILES[name](tmp_path / name)
    page = me.page
    open_upload(me)
    page.set_input_files("input[type=file]", tmp_path / name)
    page.get_by_role("button", name="Upload and import").click()
    page.wait_for_url(re.compile("/datasets/"))
    page.get_by_role("link", name="Fine-tune", exact=True).click(timeout=MINUTE)
    choose_fewer_epochs(me)
    page.locator("#launch-button").click()
    page.wait_for_url(re.compile("/jobs/"))
    report = page.get_by_role("link", name="Open the report")
    wait_on_page(product, job_of(page.url), report)
    report.click()
    page.wait_for_url(re.compile("/models/"))
    field = page.locator("#deploy input[name=name]")
    field.fill(name.partition(".")[0])
    page.locator("#deploy").get_by_role("button", name="Deploy", exact=True).click()
    # The page of the deployment itself: the name stands on the page before it, too.
    page.wait_for_url(re.compile("/deployments/[0-9a-f-]{36}/"))
    page.get_by_role("heading", name=name.partition(".")[0]).first.wait_for()
    assert me.problems == []


def test_a_large_file_goes_on_after_the_connection_dropped(me: Visitor, tmp_path: Path) -> None:
    """Four parts, the second of which is cut off once."""
    path, page, cut = tmp_path / "large.csv", me.page, []
    with open(path, "w") as file:
        file.write("text,topic\n")
        while file.tell() < 30_000_000:
            file.writelines(f"{text} and more words {file.name},{topic}\n" for text, topic in ROWS)
    page.route(
        re.compile("/uploads/[0-9a-f-]{36}/"),
        lambda route: (
            route.abort() if len(cut) == 1 and not cut.append(0) else count_part(route, cut)
        ),
    )
    open_upload(me)
    page.set_input_files("input[type=file]", path)
    page.get_by_role("button", name="Upload and import").click()
    page.locator("[data-progress] progress").wait_for()
    page.wait_for_url(re.compile("/datasets/"), timeout=2 * MINUTE)
    page.get_by_role("link", name="Fine-tune", exact=True).wait_for(timeout=2 * MINUTE)
    assert len(cut) > 1


def count_part(route: "sync_api.Route", parts: list[int]) -> None:
    if route.request.method == "PATCH":
        parts.append(1)
    route.continue_()


def open_upload(me: Visitor) -> None:
    """The upload page of this person's first project."""
    me.page.goto(me.page.evaluate("localStorage.home"))
    me.page.get_by_role("link", name="My first project").first.click()
    me.page.get_by_role("link", name=re.compile("Upload")).first.click()
    me.page.locator("input[type=file]").wait_for()
