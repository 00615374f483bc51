"""`python -m tests.screenshots`: a picture of every page and state, in both themes and in
every language, below var/screenshots; with `--readme`, the six of the README below docs/pictures.

Starts a product of its own with the demo, follows every link, and takes each kind of page (its URL
pattern) a few times, so that jobs and models of each task are among them.

On a busy machine, in parts: pictures that exist are not taken again (`--fresh` begins anew), and
`--pages`, `--states`, `--languages` and `--views` choose some. `--running URL FOLDER` takes them
of a product that runs already with its demo, and remembers there which pages it found:

    python -m tests.screenshots --running http://localhost:8000 var --pages report --views phone
"""

import argparse
import io
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import httpx

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.urls import Resolver404, resolve  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402
from playwright.sync_api import Error as PlaywrightError  # noqa: E402

from tests.journeys.product import PROJECT, Product  # noqa: E402
from tests.journeys.test_browser import CHROMIUM, FLAGS  # noqa: E402

FOLDER, PICTURES = PROJECT / "var" / "screenshots", PROJECT / "docs" / "pictures"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
VIEWS = {"light": WIDE, "dark": WIDE, "phone": PHONE}
STATES = ("stranger", "empty", "busy", "filled")
SETTLE_MS = 300  # For charts, which draw themselves.
TAKEN_PER_PATTERN = 6  # Of jobs, models and the like: one for each task.
TAKEN_AGAIN = 2  # Of these, in other languages and views: a picture takes about a second.
NOT_FOLLOWED = re.compile(
    r"/(logout|download|export|static|api|events|stream)|\.(csv|zip|html|pdf|txt|jsonl?|parquet)"
)
# Of work under way only these look otherwise than of work that is done.
CHANGING = re.compile(
    r"/(teams/[\w-]+/(jobs/|datasets/|usage/)?|jobs/[^/]+/|datasets/[^/]+/)(\?|$)"
)
PUBLIC = ["/", "/pricing/", "/docs/", "/accounts/login/", "/accounts/signup/", "/nowhere/"]


@dataclass(frozen=True)
class RunningProduct:
    """One that somebody started; `var` is its folder."""

    url: str
    var: Path

    def api(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"})


AnyProduct = Product | RunningProduct
Session = Any  # Playwright's storage state: cookies and the like; None of a stranger.


@dataclass(frozen=True)
class Wanted:
    """Which pictures to take."""

    pages: re.Pattern[str]
    states: list[str]
    languages: list[str]
    views: list[str]

    def folders(self, state_name: str) -> Iterator[tuple[str, str, Path]]:
        for language in self.languages:
            for view in self.views:
                yield language, view, FOLDER / language / view / state_name


def main() -> None:
    options = _parse_options()
    if CHROMIUM is None:
        sys.exit("Screenshots need Chromium: apt install chromium.")
    if options.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    wanted = Wanted(options.pages, options.states, options.languages, options.views)
    with _find_product(options.running) as product, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if options.readme:
            _wait_until_filled(product)
            _take_readme(browser, product)
        else:
            _take_everything(browser, product, wanted)
        browser.close()


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--readme", action="store_true", help="only the six of the README")
    parser.add_argument("--fresh", action="store_true", help="throw away what was taken before")
    parser.add_argument("--running", nargs=2, metavar=("URL", "FOLDER"), help="use this product")
    parser.add_argument("--pages", type=re.compile, default="", help="part of a picture's name")
    for name, choices in {"states": STATES, "languages": _languages(), "views": [*VIEWS]}.items():
        parser.add_argument(f"--{name}", nargs="+", choices=choices, default=choices)
    return parser.parse_args()


@contextmanager
def _find_product(running: list[str] | None) -> Iterator[AnyProduct]:
    if running:
        yield RunningProduct(running[0].rstrip("/"), Path(running[1]))
        return
    with _running_product() as product:
        yield product


@contextmanager
def _running_product() -> Iterator[Product]:
    var = Path(tempfile.mkdtemp(prefix="lathe-pictures-"))
    product = Product(var, LATHE_DEMO="true")
    try:
        product.wait_until_ready()
        yield product
    finally:
        product.stop()
        shutil.rmtree(var, ignore_errors=True)


def _wait_until_filled(product: AnyProduct, seconds: float = 1800) -> None:
    """Until the demo is whole: models of every task, endpoints, traffic."""
    ends_at = time.monotonic() + seconds
    while not (product.var / "demo-filled").exists() and time.monotonic() < ends_at:
        time.sleep(2)
    token = json.loads((product.var / "demo.json").read_text())["token"]
    with product.api(token) as api:
        while time.monotonic() < ends_at:
            jobs = api.get("/api/v1/training-jobs").json()["data"]
            if all(job["status"] not in {"queued", "running"} for job in jobs):
                return
            time.sleep(2)


def _take_everything(browser: Browser, product: AnyProduct, wanted: Wanted) -> None:
    for name in wanted.states:
        if name == "filled":
            _wait_until_filled(product)
        open_session = {"stranger": _open_nothing, "empty": _sign_up}.get(name, _sign_in)
        session = open_session(browser, product)
        paths = _remember_pages(browser, product, name, session)
        if name == "busy":
            paths = [path for path in paths if CHANGING.match(path)]
        _take(browser, product, name, paths, session, wanted)
    print(f"{sum(1 for _ in FOLDER.rglob('*.png'))} pictures below {FOLDER}")


def _remember_pages(
    browser: Browser, product: AnyProduct, name: str, session: Session
) -> list[str]:
    """The pages of a state; found once for each product, and at every run for a newcomer."""
    if session is None:
        return PUBLIC
    found = product.var / f"screenshots-{name}.json"
    if name != "empty" and found.exists():
        paths: list[str] = json.loads(found.read_text())
        return paths
    paths = _find_pages(browser, product, session)
    found.write_text(json.dumps(paths))
    return paths


def _open_nothing(browser: Browser, product: AnyProduct) -> Session:
    return None


def _sign_up(browser: Browser, product: AnyProduct) -> Session:
    page = browser.new_context().new_page()
    page.goto(f"{product.url}/accounts/signup/")
    page.get_by_label("Email", exact=False).first.fill(f"new-{secrets.token_hex(4)}@acme.example")
    page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url(re.compile("/teams/"))
    page.goto(f"{product.url}/settings/")
    page.locator("select[name=language]").select_option("")  # As the browser asks.
    page.get_by_role("button", name="Save").first.click()
    page.wait_for_load_state()
    return page.context.storage_state()


def _sign_in(browser: Browser, product: AnyProduct) -> Session:
    account = json.loads((product.var / "demo.json").read_text())
    page = browser.new_context().new_page()
    page.goto(f"{product.url}/accounts/login/")
    page.locator("input[name=login]").fill(account["email"])
    page.locator("input[name=password]").fill(account["password"])
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(re.compile("/teams/"))
    return page.context.storage_state()


def _find_pages(browser: Browser, product: AnyProduct, session: Session) -> list[str]:
    """Every page that links lead to, a few of each kind."""
    page = browser.new_context(storage_state=session).new_page()
    waiting, seen, kinds = ["/"], {"/"}, Counter[str]()
    found: list[str] = []
    while waiting:
        path = waiting.pop(0)
        kind = _kind(path)
        if kind is None or kinds[kind] >= TAKEN_PER_PATTERN:
            continue
        kinds[kind] += 1
        if not _is_page(page, product.url + path):
            continue
        found.append(path)
        for link in page.eval_on_selector_all("a[href]", "links => links.map(a => a.href)"):
            if (address := _local(link, product)) and address not in seen:
                seen.add(address)
                waiting.append(address)
    page.context.close()
    return found


def _is_page(page: Page, url: str) -> bool:
    """Whether it opens and is HTML; what is saved as a file ends the navigation with an error."""
    try:
        answer = page.goto(url)
    except PlaywrightError as error:
        if "Download is starting" in str(error):
            return False
        raise
    return answer is not None and "text/html" in answer.headers.get("content-type", "")


def _local(link: str, product: AnyProduct) -> str | None:
    parts = urlsplit(link)
    if f"{parts.scheme}://{parts.netloc}" != product.url or NOT_FOLLOWED.search(parts.path):
        return None
    tab = re.match(r"tab=\w+$", parts.query)  # Not its pages and orders, which look the same.
    return parts.path + (f"?{parts.query}" if tab else "")


def _kind(path: str) -> str | None:
    address, _, query = path.partition("?")
    try:
        return f"{resolve(address).route}?{query}"
    except Resolver404:
        return None


def _take(
    browser: Browser,
    product: AnyProduct,
    state_name: str,
    paths: list[str],
    session: Session,
    wanted: Wanted,
) -> None:
    named = [one for one in _name_pages(paths) if wanted.pages.search(one[0])]
    for language, view, folder in wanted.folders(state_name):
        is_first = (language, view) == (settings.LANGUAGE_CODE, next(iter(VIEWS)))
        most = TAKEN_PER_PATTERN if is_first else TAKEN_AGAIN
        missing = {folder / f"{name}.png": path for name, number, path in named if number <= most}
        missing = {file: path for file, path in missing.items() if not file.exists()}
        if not missing:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        page = _open(browser, product, session, language, view)
        for file, path in missing.items():
            page.goto(product.url + path)
            page.wait_for_timeout(SETTLE_MS)
            # Written at once, so that a run that is ended leaves no half picture.
            file.write_bytes(page.screenshot(full_page=True))
        page.context.close()
        # Hundreds of them take half an hour: who waits sees that it goes on.
        print(f"{state_name}, {language}, {view}: {len(missing)} pictures", flush=True)


def _name_pages(paths: list[str]) -> Iterator[tuple[str, int, str]]:
    """Each page's picture: its name by its pattern, and which one of that pattern it is."""
    numbers = Counter[str]()
    for path in paths:
        kind = (_kind(path) or path).lower()
        name = re.sub(r"[^a-z0-9]+", "-", kind).strip("-")[:80] or "home"
        numbers[name] += 1
        yield f"{name}-{numbers[name]}", numbers[name], path


def _languages() -> list[str]:
    """Those that people may choose; Django's own list of all languages means only ours."""
    ours = settings.LANGUAGES if settings.is_overridden("LANGUAGES") else ()
    return [code for code, _ in ours] or [settings.LANGUAGE_CODE]


def _open(
    browser: Browser, product: AnyProduct, session: Session, language: str, view: str
) -> Page:
    context = browser.new_context(
        storage_state=session,
        viewport=VIEWS[view],
        locale=language,
        color_scheme="dark" if view == "dark" else "light",
        reduced_motion="reduce",
    )
    cookie = {"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": product.url}
    context.add_cookies([cookie])
    return context.new_page()


def _take_readme(browser: Browser, product: AnyProduct) -> None:
    """The first screen of each, as WebP."""
    PICTURES.mkdir(exist_ok=True)
    person = _sign_in(browser, product)
    page = _open(browser, product, person, settings.LANGUAGE_CODE, "light")
    for name, path in _readme_pages(product).items():
        page.goto(product.url + path)
        page.wait_for_timeout(1_000)  # Charts draw themselves.
        shot = Image.open(io.BytesIO(page.screenshot()))
        shot.convert("RGB").save(PICTURES / f"{name}.webp", quality=80, method=6)


def _readme_pages(product: AnyProduct) -> dict[str, str]:
    """Pages of the demo's tickets, whose newest model is the one that is deployed, and others."""
    token = json.loads((product.var / "demo.json").read_text())["token"]
    with product.api(token) as api:
        endpoints = api.get("/api/v1/deployments").json()["data"]
        endpoint = next(one for one in endpoints if one["name"] == "support-tickets")
        jobs = api.get("/api/v1/training-jobs").json()["data"]
        job = next(one for one in jobs if one["model"] == endpoint["model"])
        assistant = api.get("/api/v1/assistants").json()["data"][0]
    return {
        "overview": "/home/",
        "dataset": f"/datasets/{job['dataset']}/",
        "job": f"/jobs/{job['id']}/",
        "report": f"/models/{job['model']}/",
        "endpoint": f"/deployments/{endpoint['id']}/",
        "assistant": f"/assistants/{assistant['id']}/",
    }


if __name__ == "__main__":
    main()
