"""Every page for every reader: axe in both themes and on a phone, the keyboard, no JavaScript."""

import re
from collections.abc import Iterator

import pytest

from tests.journeys.product import Product, same_worker
from tests.journeys.test_browser import CHROMIUM, FLAGS

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    same_worker,
    pytest.mark.skipif(CHROMIUM is None, reason="BROWSER JOURNEY SKIPPED: no chromium here"),
]
PUBLIC = ["/", "/pricing/", "/docs/", "/docs/getting-started/", "/accounts/password/reset/"]
TEAM_PAGES = [
    "", "datasets/", "jobs/", "models/", "deployments/", "tokens/", "webhooks/",
    "webhooks/create/", "usage/", "usage/statement/", "plan/", "members/", "audit/", "notices/",
    "notices/settings/", "trash/", "search/", "projects/create/",
]  # fmt: skip
DATASET_TABS = ["rows", "columns", "quality", "labels", "import", "versions"]
CHINESE = "zh-CN"
LANGUAGES = {"en": "en", CHINESE: "zh-hans"}  # What a browser asks for, what the page says.
LIVES = [  # Of a job: tests.journeys.states.
    ("loading", "training", "further", "evaluating", "succeeded"), ("training", "failed"),
    ("training", "paused"),
]  # fmt: skip
SIGNS = {  # That the page shows the move.
    "succeeded": ".result", "failed": ".callout[data-tone=bad]",
    "paused": ".callout[data-tone=wait]",
}  # fmt: skip
MOST_REQUESTS, MOST_BYTES, MOST_SHIFT = 15, 150_000, 0.01
COLUMNS = """() => [...document.querySelectorAll("thead th")]
  .map((title) => Math.round(title.getBoundingClientRect().left))"""
SHIFT = """() => new Promise((resolve) => {
  let sum = 0;
  const moved = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries().filter((one) => !one.hadRecentInput)) {
      sum += entry.value;
      for (const { node, previousRect: from, currentRect: to } of entry.sources) {
        const what = (node?.outerHTML ?? node?.textContent ?? "gone").slice(0, 200);
        moved.push(`${what}: ${JSON.stringify(from)} to ${JSON.stringify(to)}`);
      }
    }
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve({ sum, moved }), 300);
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def visited(product: Product, browser: "sync_api.Browser") -> dict[str, object]:
    """A person with sample data: the state of their browser and the addresses of all pages."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{product.url}/accounts/signup/")
    page.get_by_label("Email", exact=False).first.fill("axe@acme.example")
    page.get_by_label("Password", exact=False).first.fill("a lathe turns wood 42")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url(re.compile("/teams/"))
    team = page.url.rstrip("/").rsplit("/", 1)[-1]
    page.goto(f"{product.url}/settings/")
    page.get_by_label("Language").select_option("")  # As the browser asks.
    page.get_by_role("button", name="Save").first.click()
    page.goto(f"{product.url}/teams/{team}/")
    page.get_by_role("button", name="Use sample data").click()
    page.wait_for_url(re.compile("/datasets/"))
    page.get_by_role("link", name="Fine-tune", exact=True).wait_for(timeout=180_000)
    dataset = re.search("/datasets/[^/]+/", page.url)[0]
    paths = [f"/teams/{team}/{tail}" for tail in TEAM_PAGES]
    paths += [f"{dataset}?tab={tab}" for tab in DATASET_TABS]
    paths += [f"{dataset}launch/", "/settings/", "/accounts/2fa/", "/accounts/email/"]
    state = context.storage_state()
    context.close()
    return {"state": state, "paths": paths, "team": team, "dataset": dataset}


VIEWS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}


@pytest.fixture(scope="module")
def states(product: Product, visited) -> list[str]:
    """The addresses of finished, failed, paused and refused things of the same team."""
    return product.change("make_states", visited["team"])


@pytest.mark.parametrize(
    "view",
    ["light", *(pytest.param(view, marks=pytest.mark.nightly) for view in ("phone", "dark"))],
)
def test_no_page_breaks_a_rule_of_axe(product, browser, visited, view):
    walk_by_axe(product, browser, visited, view, [*PUBLIC, *visited["paths"]])


def test_no_main_page_breaks_a_rule_of_axe_in_chinese(product, browser, visited):
    main = [path for path in visited["paths"] if re.search("/usage/$|tab=quality|launch", path)]
    walk_by_axe(product, browser, visited, "light", ["/", *main], CHINESE)


@pytest.mark.nightly
@pytest.mark.parametrize("view", VIEWS)
def test_no_page_breaks_a_rule_of_axe_in_chinese(product, browser, visited, states, view):
    walk_by_axe(product, browser, visited, view, [*PUBLIC, *visited["paths"], *states], CHINESE)


@pytest.mark.nightly
@pytest.mark.parametrize("view", VIEWS)
def test_no_state_of_a_page_breaks_a_rule_of_axe(product, browser, visited, states, view):
    walk_by_axe(product, browser, visited, view, states)


def test_a_report_and_a_job_break_no_rule_of_axe(product, browser, visited, states):
    """The short form of the walk over all states."""
    few = [path for path in states if "tab=labels" in path or "tab=charts" in path]
    walk_by_axe(product, browser, visited, "light", few)


def walk_by_axe(product, browser, visited, view, paths, language="en"):
    """No violation, no message in the console, nothing wider than the screen."""
    context = browser.new_context(**VIEWS[view], storage_state=visited["state"], locale=language)
    page, found, consoles = context.new_page(), {}, []
    page.on("console", lambda message: consoles.append(f"{page.url}: {message.text}"))
    for path in paths:
        assert page.goto(product.url + path).status == 200, path
        page.wait_for_load_state("load")
        page.wait_for_timeout(300)  # For parts that are loaded after the page.
        assert page.locator("html").get_attribute("lang") == LANGUAGES[language], path
        result = axe.Axe().run(page)
        for rule in result.response["violations"]:
            found.setdefault(rule["id"], []).append((path, rule["nodes"][0]["html"][:200]))
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, f"{path} is wider than the screen"
    context.close()
    assert found == {}
    assert consoles == []


def test_pages_are_light_and_stand_still(product, browser, visited, states):
    context = browser.new_context(storage_state=visited["state"])
    job = next(path for path in states if "tab=charts" in path)
    report = next(path for path in states if "tab=summary" in path)
    team = f"/teams/{visited['team']}/"
    for path in (team, f"{team}jobs/", visited["dataset"], job, report):
        page, sizes = context.new_page(), []
        page.on("requestfinished", lambda request, sizes=sizes: sizes.append(request.sizes()))
        page.goto(product.url + path)
        page.wait_for_timeout(1_500)
        sent = sum(one["responseBodySize"] for one in sizes)
        assert len(sizes) <= MOST_REQUESTS, path
        assert sent <= MOST_BYTES, f"{path}: {sent} bytes"
        shift = page.evaluate(SHIFT)
        assert shift["sum"] < MOST_SHIFT, f"{path}: {shift}"
        page.close()
    context.close()


def test_the_last_rows_of_a_list_move_no_column(product, browser, visited, states):
    """A browser paints a long page before all of it has come."""
    page = browser.new_context(storage_state=visited["state"]).new_page()
    for tail in ("datasets/", "jobs/", "models/", "deployments/"):
        page.goto(f"{product.url}/teams/{visited['team']}/{tail}")
        whole = page.evaluate(COLUMNS)
        page.evaluate("document.querySelectorAll('tbody tr + tr').forEach((row) => row.remove())")
        assert page.evaluate(COLUMNS) == whole != [], tail
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("moves", LIVES, ids=lambda moves: moves[-1])
def test_nothing_moves_while_a_job_goes_on(product, browser, visited, moves):
    """From the queue to its end, beside an overview whose bell counts one more notice."""
    job = product.change("new_job", visited["team"])
    paths = (f"/teams/{visited['team']}/", f"/jobs/{job}/")
    pages = open_pages(product, browser, visited, paths)
    product.change("tell", visited["team"])
    for move in moves:
        product.change("move_job", job, move)
        for _, path, page in pages:
            if path == paths[1]:
                page.locator(SIGNS.get(move, f"text=Now {move}")).first.wait_for()
    for _, _, page in pages:
        page.locator(".bell .unread").wait_for()
    stand_still(pages)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["ready", "failed"])
def test_nothing_moves_while_an_import_ends(product, browser, visited, outcome):
    dataset = product.change("new_import", visited["team"])
    pages = open_pages(product, browser, visited, [f"/datasets/{dataset}/"])
    for _, _, page in pages:
        page.get_by_role("progressbar").wait_for()
    product.change("end_import", dataset, outcome)
    for _, _, page in pages:
        page.get_by_role("progressbar").wait_for(state="detached")
    stand_still(pages)


def test_nothing_moves_while_an_endpoint_goes_live(product, browser, visited, states):
    team = f"/teams/{visited['team']}/"
    pages = open_pages(product, browser, visited, [team, f"{team}deployments/"])
    endpoint = product.change("new_endpoint", visited["team"])
    pages += open_pages(product, browser, visited, [f"/deployments/{endpoint}/"])
    product.change("answer", endpoint)
    for _, path, page in pages:
        if path.startswith("/deployments/"):
            page.locator("#activity tbody tr").first.wait_for()
    stand_still(pages)


def open_pages(product, browser, visited, paths):
    """(view, path, page) of each path, on a desktop and on a phone."""
    pages = [
        (view, path, browser.new_page(**VIEWS[view], storage_state=visited["state"]))
        for view in ("light", "phone")
        for path in paths
    ]
    for _, path, page in pages:
        page.goto(product.url + path)
    return pages


def stand_still(pages):
    """Nothing in them has moved since they were opened; closes them."""
    for view, path, page in pages:
        shift = page.evaluate(SHIFT)
        assert shift["sum"] < MOST_SHIFT, f"{path} in {view}: {shift}"
        page.close()


def test_the_search_opens_moves_and_leads_by_keyboard_alone(product, browser, visited):
    context = browser.new_context(storage_state=visited["state"])
    page = context.new_page()
    page.goto(f"{product.url}/teams/{visited['team']}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Control+k")
    page.keyboard.type("sample")
    page.locator("#search-found a").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/datasets/"))
    context.close()


def test_a_dialog_holds_the_keyboard_and_gives_it_back(product, browser, visited):
    """Focus moves in, Tab and Shift+Tab go round inside, Escape closes and leads back."""
    page = browser.new_context(storage_state=visited["state"]).new_page()
    for path, name in (
        ("/settings/", "Delete my account"),
        (f"/teams/{visited['team']}/members/", "Leave"),
    ):
        page.goto(product.url + path)
        opener = page.get_by_role("button", name=name).first
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.locator("dialog:popover-open")
        dialog.wait_for()
        fields = dialog.locator("button, input:not([type=hidden])").count()
        for key in ("Tab", "Shift+Tab"):
            met = set()
            for _ in range(fields + 1):
                assert page.evaluate("!!document.activeElement.closest('dialog:popover-open')"), key
                met.add(page.evaluate("document.activeElement.outerHTML"))
                page.keyboard.press(key)
            assert len(met) == fields, path
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        assert opener.evaluate("button => button === document.activeElement"), path
    page.context.close()


def test_a_threshold_is_moved_and_its_costs_follow_at_once(product, browser, visited, states):
    path = next(path for path in states if "thresholds" in path)
    context = browser.new_context(storage_state=visited["state"])
    page, asked = context.new_page(), []
    page.goto(product.url + path)
    page.on("request", lambda request: asked.append(request.url))
    shown = {name: page.locator(f"[data-out={name}]") for name in ("threshold", "recall", "cost")}
    before = {name: place.inner_text() for name, place in shown.items()}
    page.locator("#threshold").focus()
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    assert shown["threshold"].inner_text() == "0.75"
    assert shown["recall"].inner_text() != before["recall"]
    page.locator("#cost-missed").fill("20")
    assert float(shown["cost"].inner_text().replace(",", "")) > 0
    page.get_by_role("button", name="Move there").click()
    assert shown["threshold"].inner_text() == page.locator("[data-out=cheapest]").inner_text()
    assert [url for url in asked if "/thresholds/" in url] == []  # Nothing is asked of the server.
    context.close()


def test_the_field_that_was_refused_has_the_focus(product, browser, visited):
    page = browser.new_context(storage_state=visited["state"]).new_page()
    page.goto(f"{product.url}/teams/{visited['team']}/projects/create/")
    page.get_by_label("Name").fill(" ")
    page.get_by_label("Name").press("Enter")
    page.locator("p.error").wait_for()
    assert page.evaluate("document.activeElement.name") == "name"
    page.context.close()


def test_everything_reads_and_acts_without_javascript(product, browser, visited, states):
    context = browser.new_context(storage_state=visited["state"], java_script_enabled=False)
    page = context.new_page()
    for path in [*visited["paths"], *states]:
        assert page.goto(product.url + path).status == 200, path
        assert page.locator("h1").count() == 1, path
    page.goto(product.url + next(path for path in states if "tab=versions" in path))
    page.get_by_label("More").click()
    page.get_by_role("button", name="Move to the trash").first.click()  # A popover: no script.
    page.get_by_role("dialog").get_by_role("button", name="Move to the trash").click()
    page.wait_for_url(re.compile("/datasets/$"))
    page.goto(f"{product.url}/teams/{visited['team']}/trash/")
    page.get_by_role("row", name="spare.csv").get_by_role("button", name="Restore").click()
    page.wait_for_url(re.compile("/datasets/.+/"))
    context.close()


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_page_is_not_drawn_into_a_part_of_a_page(product, browser, visited, status):
    page = browser.new_context(storage_state=visited["state"]).new_page()
    address = f"{product.url}/teams/{visited['team']}/"
    error_page = page.request.get(f"{product.url}/nowhere/").text()
    page.route(
        "**/month/",
        lambda route: route.fulfill(status=status, body=error_page, content_type="text/html"),
    )
    page.goto(address)
    if status == 404:
        said = page.locator("#problem").get_by_text("There is no such page")
    else:  # It is asked for again: the page says since when it is not up to date.
        said = page.get_by_text("Reconnecting, last update")
    said.wait_for()
    assert page.locator("h1").count() == 1
    assert "Nothing here" not in page.title()
    page.context.close()
