"""Help pages, search, trash and the files that every page loads."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils import translation
from django.utils.timezone import now

from inference import deployments
from inference.models import Deployment
from projects.lifecycle import archive_dataset, archive_project, restore_dataset
from training.jobs import removal
from training.models import Status, TrainedModel, TrainingJob
from web.browser.static_bundle import SCRIPT_FOLDER, STATIC_DIR, STYLESHEET, build_stylesheet
from web.browser.trash import InTrash, StillInUse, TooLateToRestore
from web.pages.documents import (
    DOCS_DIR,
    GROUPS,
    SLUGS,
    TRANSLATED_GROUPS,
    find_document,
    list_documents,
)


@pytest.mark.django_db
def test_every_help_page_opens_and_its_links_lead_somewhere(client):
    assert client.get("/docs/").status_code == 200
    for slug in SLUGS:
        page = client.get(f"/docs/{slug}/")
        assert page.status_code == 200, slug
        html = page.content.decode()
        assert html.count("<h1") == 1
        for target in set(re.findall(r'href="(/docs/[\w-]+/)', html)):
            assert client.get(target).status_code == 200, target
    assert client.get("/docs/no-such-page/").status_code == 404
    assert client.get("/docs/../README/").status_code == 404
    assert client.get(f"/docs/{'a' * 300}/").status_code == 404  # No file can have such a name.


HELP_LINK = re.compile(r'_help_link\.html" with page="([\w-]+)"(?: section="([\w-]+)")?')


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES])
def test_every_help_link_of_a_page_leads_to_a_section_in_every_language(language):
    templates = Path(settings.BASE_DIR, "templates").rglob("*.html")
    links = {link for path in templates for link in HELP_LINK.findall(path.read_text())}
    assert len(links) > 8
    with translation.override(language):
        for page, section in links:
            document = find_document(page)
            assert document is not None, page
            assert document.is_translated
            assert not section or f'id="{section}"' in document.html, (page, section)


def test_every_use_of_the_help_link_names_its_page_in_words():
    """So that the test above sees all of them."""
    for path in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        text = path.read_text()
        assert text.count('include "_help_link.html"') == len(HELP_LINK.findall(text)), path


USER_PAGES = [slug for _, slugs in GROUPS[:TRANSLATED_GROUPS] for slug in slugs]


@pytest.mark.parametrize("slug", USER_PAGES)
@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES if code != "en"])
def test_who_uses_lathe_reads_the_same_help_in_every_language(slug, language):
    """A page that grows or changes does so in both."""
    original = (DOCS_DIR / f"{slug}.md").read_text()
    translation = (DOCS_DIR / language / f"{slug}.md").read_text()
    assert outline(translation) == outline(original)
    assert names_and_numbers(translation) == names_and_numbers(original)


def outline(text: str) -> dict[str, int]:
    """How many headings, rows of tables, items of lists and examples there are."""
    lines = text.splitlines()
    starts = {"#": "headings", "|": "rows", "- ": "items", "```": "fences"}
    return {name: sum(line.startswith(mark) for line in lines) for mark, name in starts.items()}


def names_and_numbers(text: str) -> tuple[set[str], set[str]]:
    """What no translation changes: code in the text, but for <placeholders>, and figures."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M).replace("\n", " ")
    code = set(re.findall(r"`([^`]+)`", prose))
    numbers = re.findall(r"(?<![\w.])\d(?:[\d,.]*\d)?", re.sub(r"`[^`]*`", "", prose))
    return {name for name in code if "<" not in name}, set(numbers)


def test_what_is_in_english_only_says_so(client, db):
    page = client.get("/docs/operating/", HTTP_ACCEPT_LANGUAGE="zh-CN").content.decode()
    assert '<div lang="en">' in page
    assert '<div lang="en">' not in client.get("/docs/operating/").content.decode()
    page = client.get("/docs/costs/", HTTP_ACCEPT_LANGUAGE="zh-CN").content.decode()
    assert "消费上限" in page
    assert '<div lang="en">' not in page


def test_every_file_of_docs_is_a_page():
    assert {path.stem for path in DOCS_DIR.glob("*.md")} == set(SLUGS)


def test_help_pages_show_markup_of_the_files_as_text():
    for _, documents in list_documents():
        for document in documents:
            assert "<script" not in document.html
    assert find_document("../README") is None


def test_one_stylesheet_holds_every_file_of_ours():
    made = build_stylesheet()
    apart = ("lathe.css", "admin.css", "operators.css", "widget.css", "api_reference.css")
    for path in (STATIC_DIR / "css").glob("*.css"):
        if path.name not in apart:
            assert path.read_text() in made, f"{path.name} is not imported by lathe.css"
    assert "@import" not in made
    assert finders.find(STYLESHEET)
    script = Path(str(finders.find("js/app.js"))).read_text()
    assert all(path.read_text() in script for path in SCRIPT_FOLDER.glob("*.js"))


def test_search_finds_what_a_team_has_and_nothing_of_others(client_of, alice, mallory, job, team):
    page = client_of(alice).get(f"/teams/{team.slug}/search/", {"q": "intents"}).content.decode()
    assert f"/jobs/{job.pk}/" in page
    pages = client_of(alice).get(
        f"/teams/{team.slug}/search/", {"q": "bill"}, headers={"HX-Request": "true"}
    )
    assert b"Usage &amp; billing" in pages.content
    assert b"<html" not in pages.content
    assert client_of(mallory).get(f"/teams/{team.slug}/search/").status_code == 404


def test_what_is_in_use_stays_out_of_the_trash(things, job, project, dataset, alice):
    with pytest.raises(StillInUse, match="Support intents"):
        archive_dataset(dataset, alice)
    TrainingJob.objects.update(status=Status.CANCELLED, finished_at=now())
    model = TrainedModel.objects.get()
    with pytest.raises(StillInUse, match="intents"):
        removal.archive(model, alice)
    with pytest.raises(StillInUse):
        archive_project(project, alice)
    deployments.retire(Deployment.objects.get(), alice)
    archive_project(project, alice)
    archive_dataset(dataset, alice)
    dataset.refresh_from_db()
    dataset.project.refresh_from_db()
    with pytest.raises(InTrash):
        restore_dataset(dataset, alice)


def test_everything_in_the_trash_is_listed_and_comes_back(things, job, team, alice, client_of):
    client = client_of(alice)
    TrainingJob.objects.update(status=Status.CANCELLED, finished_at=now())
    removed = [
        (f"/deployments/{things['deployment']}", "retire", {"typed_name": "intents"}),
        (f"/models/{things['model']}", "archive", {}),
        (f"/jobs/{things['job']}", "archive", {}),
        (f"/datasets/{things['dataset']}", "archive", {}),
    ]
    for thing, verb, form in removed:
        assert client.post(f"{thing}/{verb}/", form).status_code == 302
    page = client.get(f"/teams/{team.slug}/trash/").content.decode()
    for thing, _, _ in removed:
        assert f'action="{thing}/restore/"' in page
    assert job.name not in client.get(f"/teams/{team.slug}/jobs/").content.decode()
    for thing, _, _ in reversed(removed):
        assert client.post(f"{thing}/restore/").status_code == 302
    assert "The trash is empty" in client.get(f"/teams/{team.slug}/trash/").content.decode()
    assert Deployment.objects.serving().count() == 1


def test_after_thirty_days_nothing_comes_back(things, alice, client_of, team):
    deployment = Deployment.objects.get()
    deployments.retire(deployment, alice)
    Deployment.objects.update(retired_at=now() - timedelta(days=31))
    deployment.refresh_from_db()
    with pytest.raises(TooLateToRestore):
        deployments.restore(deployment, alice)
    page = client_of(alice).get(f"/teams/{team.slug}/trash/").content.decode()
    assert "The trash is empty" in page


def test_a_name_taken_meanwhile_is_not_taken_back(things, alice):
    first = Deployment.objects.get()
    deployments.retire(first, alice)
    deployments.deploy(first.model, "intents", alice)
    with pytest.raises(deployments.DeploymentNameTaken):
        deployments.restore(first, alice)


def test_nothing_is_launched_on_a_dataset_in_the_trash(dataset, dataset_version, alice, client_of):
    archive_dataset(dataset, alice)
    page = client_of(alice).get(f"/datasets/{dataset.pk}/launch/").content.decode()
    assert "in the trash" in page
