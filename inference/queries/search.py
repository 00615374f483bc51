"""Finds a team's objects, pages and help by part of their names, or by a tag."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from accounts.models import Team, User
from accounts.permissions import has_permission
from inference.models import Deployment
from projects.models import Dataset, Project
from training.models import TrainedModel, TrainingJob
from web.language.sentences import translated
from web.pages.documents import list_documents

MAX_OF_A_KIND = 5
MIN_LETTERS = 2


@dataclass(frozen=True)
class Page:
    """A page that is there without a thing of its own; `words` find it beside its name."""

    name: str
    view: str
    icon: str
    words: str = ""
    right: str = "read"  # Who may open it: has_permission's.
    of_team: bool = True  # Its address holds the team's slug.


PAGES = [
    Page("Overview", "projects:overview", "home", "start projects"),
    Page("New project", "projects:create-project", "plus", right="write"),
    Page("Datasets", "projects:datasets", "data", "data upload tables"),
    Page("Fine-tunes", "training:jobs", "tune", "jobs training"),
    Page("Fine-tunes compared", "training:compare-jobs", "chart", "curves"),
    Page("Models", "training:models", "model", "reports"),
    Page("Endpoints", "inference:deployments", "endpoint", "deployments serving"),
    Page("API tokens", "accounts:tokens", "key", "keys"),
    Page("Webhooks", "accounts:webhooks", "webhook", right="team"),
    Page("Add a webhook", "accounts:create-webhook", "plus", right="team"),
    Page("Usage & billing", "billing:usage", "money", "cost spending cap budget credit"),
    Page("Statement", "billing:statement", "money", "month"),
    Page("Cost by project", "billing:usage-projects", "money", "spending"),
    Page("Invoices", "billing:invoices", "money", "bill pdf"),
    Page("Pro-forma invoice", "billing:invoice", "money", "bill pdf"),
    Page("Billing details", "billing:details", "money", "address vat tax", "billing"),
    Page("Plan & payment", "billing:plan", "money", "subscription card upgrade"),
    Page("Pricing", "billing:pricing", "money", "prices machines", of_team=False),
    Page("Team", "accounts:members", "team", "members invite people roles"),
    Page("Audit log", "accounts:audit", "audit", "history", right="team"),
    Page("Notifications", "accounts:notices", "bell", "notices"),
    Page("Notification settings", "accounts:notice-settings", "bell", "e-mail notices"),
    Page("Trash", "inference:trash", "trash", "deleted removed restore"),
    Page("Search", "inference:search", "search"),
    Page("Your account", "accounts:settings", "user", "name language sessions", of_team=False),
    Page("Change password", "account_change_password", "shield", of_team=False),
    Page("E-mail addresses", "account_email", "user", of_team=False),
    Page("Two-factor authentication", "mfa_index", "shield", "2fa totp", of_team=False),
    Page("Security keys", "mfa_list_webauthn", "key", "passkeys", of_team=False),
    Page("Other sign-ins", "socialaccount_connections", "user", "google github", of_team=False),
    Page("Sessions", "usersessions_list", "shield", "devices signed in", of_team=False),
    Page("Sign out", "account_logout", "user", of_team=False),
    Page("Help", "docs", "book", "documentation", of_team=False),
    Page("API reference", "api-docs", "book", "documentation rest", of_team=False),
    Page("Status", "status", "cpu", "incidents", of_team=False),
    Page("Home page", "landing", "home", of_team=False),
]


# Of apps above: (kind, its page, its icon, what finds (key, name) of a team's by part of a name).
Finder = Callable[[Team, str], Iterable[tuple[UUID, str]]]
_kinds: list[tuple[str, str, str, Finder]] = []


def register_kind(kind: str, view: str, icon: str, find: Finder) -> None:
    """Find things of this kind, too; `view` is the page of one."""
    _kinds.append((kind, view, icon, find))


def register_page(page: Page) -> None:
    """Find this page, too."""
    PAGES.append(page)


@dataclass(frozen=True)
class SearchResult:
    """One object or page of a team, with its address."""

    name: str
    kind: str
    url: str
    icon: str


def search(team: Team, text: str, viewer: User) -> list[SearchResult]:
    """Objects and pages whose name contains the text in any case, and objects with it as a tag; for
    fewer than MIN_LETTERS, pages only. Pages that the viewer may not open are left out."""
    text = text.strip()
    pages = [
        SearchResult(translated(page.name), "Page", _address(page, team), page.icon)
        for page in PAGES
        if _matches(text, page.name, translated(page.name), page.words, translated(page.words))
        and (not page.of_team or has_permission(viewer, team, page.right))
    ]
    if len(text) < MIN_LETTERS:
        return pages
    return [*_find_objects(team, text), *pages, *_find_help(text)]


def _matches(text: str, *names: str) -> bool:
    return any(text.casefold() in name.casefold() for name in names)


def _address(page: Page, team: Team) -> str:
    return reverse(page.view, args=[team.slug] if page.of_team else [])


def _find_help(text: str) -> list[SearchResult]:
    """Pages of the help, and sections of them."""
    found = []
    for _, documents in list_documents():
        for document in documents:
            address = reverse("doc", args=[document.slug])
            if _matches(text, document.title):
                found.append(SearchResult(document.title, "Help", address, "book"))
            found += [
                SearchResult(f"{document.title} · {words}", "Help", f"{address}#{anchor}", "book")
                for anchor, words in document.headings
                if _matches(text, words)
            ]
    return found[:MAX_OF_A_KIND]


def _find_objects(team: Team, text: str) -> Iterator[SearchResult]:
    matches = Q(name__icontains=text) | Q(tags__contains=[text])
    datasets = Dataset.objects.filter(
        matches, project__team=team, archived_at=None, project__archived_at=None
    )
    jobs = TrainingJob.objects.not_in_trash().filter(matches, team=team)
    models = TrainedModel.objects.not_in_trash().filter(matches, team=team)
    endpoints = Deployment.objects.serving().filter(team=team, name__icontains=text)
    projects = Project.objects.active().filter(matches, team=team)
    for rows, kind, view, picture in (
        (datasets, "Dataset", "projects:dataset", "data"),
        (jobs, "Fine-tune", "training:job", "tune"),
        (models, "Model", "training:model", "model"),
        (endpoints, "Endpoint", "inference:deployment", "endpoint"),
        (projects, "Project", "projects:project", "home"),
    ):
        for pk, name in rows.values_list("pk", "name")[:MAX_OF_A_KIND]:
            yield SearchResult(name, kind, reverse(view, args=[pk]), picture)
    for kind, view, picture, find in _kinds:
        for pk, name in list(find(team, text))[:MAX_OF_A_KIND]:
            yield SearchResult(name, kind, reverse(view, args=[pk]), picture)
