"""`make lighthouse`: Google's Lighthouse on the four main pages, on a desktop and on a phone.

Starts a product of its own, signs a person up, and gives their team sample data and a finished job,
model and report. Fails where a page falls below the marks. Performance is of this machine at this
moment: on a loaded one it says little.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.journeys.product import PROJECT, Product, free_port
from tests.journeys.test_browser import CHROMIUM, FLAGS

COMMAND = PROJECT / "node_modules" / "lighthouse" / "cli" / "index.js"
MARKS = {"performance": 95, "accessibility": 100, "best-practices": 95}
MOST_REQUESTS, MOST_BYTES = 15, 150_000
TRIES = 3  # A trace may miss where the page began: it says so, and asks to be run again.
MOST_WAIT_MS = 15_000  # Live pages keep a stream open: the network never rests.
FORMS = {"desktop": ["--preset=desktop"], "mobile": []}


@dataclass(frozen=True)
class Result:
    """Lighthouse's marks of one page in one form, and what the page loaded."""

    page: str
    form: str
    marks: dict[str, int]
    requests: int
    sent_bytes: int
    problems: list[str]

    @property
    def is_good(self) -> bool:
        is_light = self.requests <= MOST_REQUESTS and self.sent_bytes <= MOST_BYTES
        return is_light and all(self.marks[name] >= mark for name, mark in MARKS.items())


def main() -> None:
    if CHROMIUM is None:
        sys.exit("Lighthouse needs Chromium: apt install chromium.")
    with tempfile.TemporaryDirectory(prefix="lathe-lighthouse-") as folder:
        product = Product(Path(folder))
        try:
            product.wait_until_ready()
            cookies, paths = _prepare(product)
            with _browser_of(product, cookies, Path(folder)) as port:
                results = [
                    _examine(product.url + path, name, form, port)
                    for name, path in paths.items()
                    for form in FORMS
                ]
        finally:
            product.stop()
    for result in results:
        marks = " ".join(f"{name} {mark}" for name, mark in result.marks.items())
        weight = f"{result.requests} requests, {result.sent_bytes / 1000:.0f} kB"
        print(f"{result.page:<9} {result.form:<8} {marks} · {weight} {'; '.join(result.problems)}")
    if not all(result.is_good for result in results):
        sys.exit("A page is below the marks.")


def _prepare(product: Product) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The session's cookies and the pages' addresses."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context().new_page()
        page.goto(f"{product.url}/accounts/signup/")
        page.get_by_label("Email", exact=False).first.fill("light@acme.example")
        page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
        page.get_by_role("button", name="Create account").click()
        page.wait_for_url(re.compile("/teams/"))
        team = page.url.rstrip("/").rsplit("/", 1)[-1]
        page.get_by_role("button", name="Use sample data").click()
        page.wait_for_url(re.compile("/datasets/"))
        page.get_by_role("link", name="Fine-tune", exact=True).wait_for(timeout=180_000)
        dataset = page.url.removeprefix(product.url).partition("?")[0]
        cookies = page.context.cookies()
        browser.close()
    states = product.change("make_states", team)
    paths = {
        "overview": f"/teams/{team}/",
        "dataset": dataset,
        "job": next(path for path in states if path.endswith("?tab=charts")),
        "report": next(path for path in states if path.endswith("?tab=summary")),
    }
    return cookies, paths


@contextmanager
def _browser_of(product: Product, cookies: list[dict[str, Any]], folder: Path) -> Iterator[int]:
    """A signed-in browser; the port at which Lighthouse drives it.

    A Cookie header that Lighthouse adds itself reaches the page alone: what the page then fetches
    is refused, and Lighthouse looks at the login page instead.
    """
    port = free_port()
    flags = [*FLAGS, f"--remote-debugging-port={port}"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile", executable_path=CHROMIUM, args=flags
        )
        context.add_cookies(
            [
                {"name": cookie["name"], "value": cookie["value"], "url": product.url}
                for cookie in cookies
            ]
        )
        yield port
        context.close()


def _examine(url: str, page: str, form: str, port: int) -> Result:
    command = [
        "node", str(COMMAND), url, "--quiet", "--output=json", f"--port={port}",
        f"--only-categories={','.join(MARKS)}", f"--max-wait-for-load={MOST_WAIT_MS}", *FORMS[form],
    ]  # fmt: skip
    environment = os.environ | {"CHROME_PATH": str(CHROMIUM)}
    for _ in range(TRIES):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            break
    else:
        sys.exit(f"Lighthouse failed on {url}:\n{done.stderr[-2_000:]}")
    report = json.loads(done.stdout)
    if report["finalDisplayedUrl"] != url:
        sys.exit(f"{url} led to {report['finalDisplayedUrl']}: nothing was measured.")
    items = report["audits"]["network-requests"]["details"]["items"]
    requests = [item for item in items if not item["url"].startswith("data:")]
    marks = {name: round(100 * report["categories"][name]["score"]) for name in MARKS}
    failed = {
        reference["id"]
        for name in ("accessibility", "best-practices")
        for reference in report["categories"][name]["auditRefs"]
        if report["audits"][reference["id"]]["score"] == 0
    }
    sent = sum(int(request.get("transferSize") or 0) for request in requests)
    return Result(page, form, marks, len(requests), sent, sorted(failed))


if __name__ == "__main__":
    main()
