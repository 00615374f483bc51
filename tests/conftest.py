"""The people and things every test knows."""

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import Client
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from accounts.models import ApiToken, Membership, Role, Team, User
from accounts.notifications.publish import publish
from accounts.webhooks import endpoints
from assistants.lifecycle import create_assistant
from assistants.models import Conversation
from inference.models import Deployment, TablePrediction
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from tests.databases import (
    RESTORE_FIRST_ROWS,
    close_connections_of_threads,
    ensure_migrated_database,
    keep_first_rows,
    migrate_in_background,
)
from training.models import ComputeClass, Evaluation, TrainedModel, TrainingJob
from web.language.catalog import compile_all

# A busy machine is no reason to fail.
hypothesis_settings.register_profile("no_deadline", deadline=None)
hypothesis_settings.load_profile("no_deadline")
JOURNEYS = Path(__file__).resolve().parent / "journeys"
SHARED = Path(__file__).resolve().parents[2] / "shared"  # Real datasets; absent in most checkouts.


def pytest_configure(config: pytest.Config) -> None:
    """Catalogues as set-up compiles them; a migrated database, while the workers collect tests."""
    compile_all()
    if config.getoption("numprocesses", None):  # Of the process that starts the workers.
        migrate_in_background()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """What is imported and collected lives until the end, but each full collection of garbage looks
    through all of it again: that took a fifth of the processor time of many tests. Nor is it worth
    while to look through what the tests made for every seventy thousand objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests first, so that none is left to one processor at the end; journeys, which mostly
    wait, before all.

    Tests without a database begin: the first run makes one meanwhile. Those that roll back stay
    before those that empty the database: what migrations wrote is put back for the latter only.
    `--dist loadgroup --no-loadscope-reorder` keeps this order.
    """
    _require_groups(config, items)
    _require_serialized_rollback(items)
    items.sort(
        key=lambda item: (
            JOURNEYS not in item.path.parents,
            _use_of_database(item),
            item.get_closest_marker("slow") is None,
        )
    )


def _require_groups(config: pytest.Config, items: list[pytest.Item]) -> None:
    """xdist says a test's group in its id. Where pytest ignores that, every worker would make what
    a group shares anew, in silence."""
    marked = [item for item in items if item.get_closest_marker("xdist_group")]
    if config.getoption("loadgroup", False) and not all("@" in item.nodeid for item in marked):
        raise pytest.UsageError("This pytest does not keep pytest-xdist's groups together.")


def _require_serialized_rollback(items: list[pytest.Item]) -> None:
    """One test that empties the database without it takes from all later ones what migrations
    wrote."""
    for item in items:
        marker = item.get_closest_marker("django_db")
        options = marker.kwargs if marker else {}
        if options.get("transaction") and not options.get("serialized_rollback"):
            raise pytest.UsageError(f"{item.nodeid} needs serialized_rollback=True.")


def _use_of_database(item: pytest.Item) -> int:
    """0: none, 1: rolls back, 2: empties it."""
    if marker := item.get_closest_marker("django_db"):
        return 2 if marker.kwargs.get("transaction") else 1
    fixtures = getattr(item, "fixturenames", [])
    return 2 if "transactional_db" in fixtures else int("db" in fixtures)


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # Else libraries report what is never freed as leaks.
    shutil.rmtree(settings.VAR_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """A database of this process's own, so that two test runs never meet."""
    import os

    test = settings.DATABASES["default"].setdefault("TEST", {})
    test["NAME"] = f"test_lathe_{os.getpid()}"
    test["TEMPLATE"] = ensure_migrated_database()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Django's, with a quicker way to empty the database after a `transaction=True` test."""
    with django_db_blocker.unblock():
        keep_first_rows()
    original = DatabaseOperations.sql_flush
    DatabaseOperations.sql_flush = lambda *_, **__: [RESTORE_FIRST_ROWS]
    yield
    DatabaseOperations.sql_flush = original
    with django_db_blocker.unblock():
        close_connections_of_threads()


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real datasets are not beside this checkout")
    return SHARED


def _person(email: str, first_name: str) -> User:
    user = User.objects.create_user(email, "correct horse battery", first_name=first_name)
    EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    return user


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="Acme Labs", slug="acme-labs")


@pytest.fixture
def other_team(db: None) -> Team:
    return Team.objects.create(name="Others", slug="others")


@pytest.fixture
def alice(team: Team) -> User:
    """Owner of the team."""
    person = _person("alice@acme.test", "Alice")
    Membership.objects.create(team=team, user=person, role=Role.OWNER)
    return person


@pytest.fixture
def bob(team: Team) -> User:
    """A member of the team."""
    person = _person("bob@acme.test", "Bob")
    Membership.objects.create(team=team, user=person, role=Role.MEMBER)
    return person


@pytest.fixture
def vera(team: Team) -> User:
    """May look, may not touch."""
    person = _person("vera@acme.test", "Vera")
    Membership.objects.create(team=team, user=person, role=Role.VIEWER)
    return person


@pytest.fixture
def mallory(other_team: Team) -> User:
    """A stranger with a team of her own."""
    person = _person("mallory@evil.test", "Mallory")
    Membership.objects.create(team=other_team, user=person, role=Role.OWNER)
    return person


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser signed in as this person."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


def issue(team: Team, user: User, **facts: object) -> ApiToken:
    """A token that remembers its secret, for tests only."""
    token, secret = ApiToken.issue(team=team, created_by=user, name="test", **facts)
    token.secret = secret
    return token


@pytest.fixture
def token(team: Team, alice: User) -> ApiToken:
    return issue(team, alice)


@pytest.fixture
def mallory_token(other_team: Team, mallory: User) -> ApiToken:
    return issue(other_team, mallory)


@pytest.fixture
def api() -> Callable[[ApiToken], APIClient]:
    """An API client that sends this token."""

    def with_token(token: ApiToken) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token.secret}")
        return client

    return with_token


@pytest.fixture
def project(team: Team) -> Project:
    return Project.objects.create(team=team, name="Support bot")


@pytest.fixture
def dataset(project: Project) -> Dataset:
    return Dataset.objects.create(project=project, name="tickets.csv")


TICKETS = [
    ("my card never arrived", "card"),
    ("where is the card I ordered", "card"),
    ("the transfer is still pending", "transfer"),
    ("my money did not reach the recipient", "transfer"),
]


@pytest.fixture
def dataset_version(dataset: Dataset) -> DatasetVersion:
    """A ready version with 200 rows of text and label."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(f"{text} {n}", label) for n in range(50) for text, label in TICKETS]
    table = pa.table({"text": [row[0] for row in rows], "label": [row[1] for row in rows]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    version = DatasetVersion(dataset=dataset, number=1)
    key = f"datasets/{version.pk}/data.parquet"
    default_storage.save(key, ContentFile(sink.getvalue().to_pybytes()))
    version.filename, version.upload_key = "tickets.csv", f"uploads/{version.pk}"
    version.upload_bytes, version.upload_sha256 = 1, "0" * 64
    version.status, version.rows, version.rejected_rows = ImportStatus.READY, len(rows), 0
    version.parquet_key, version.finished_at = key, version.created_at
    version.columns = [
        {"name": name, "type": "text", "original_name": name} for name in table.column_names
    ]
    version.profile = {
        "rows": len(rows),
        "columns": [
            {"name": "text", "type": "text", "missing": 0, "unique": 200, "mean_length": 30},
            {"name": "label", "type": "text", "missing": 0, "unique": 2, "mean_length": 6},
        ],
        "suggested": {
            "task": "text-classification",
            "text_columns": ["text"],
            "target_column": "label",
        },
    }
    version.save()
    return version


@pytest.fixture
def job(dataset_version: DatasetVersion, alice: User) -> TrainingJob:
    """A queued job."""
    return TrainingJob.objects.create(
        team=dataset_version.dataset.project.team,
        project=dataset_version.dataset.project,
        dataset_version=dataset_version,
        compute_class=ComputeClass.objects.get(code="cpu"),
        launched_by=alice,
        name="Support intents",
        task="text-classification",
        base_model="all-MiniLM-L6-v2",
        recipe={
            "task": "text-classification",
            "text_columns": ["text"],
            "target_column": "label",
            "base_model": "all-MiniLM-L6-v2",
            "hyperparameters": {},
        },
    )


@pytest.fixture
def things(team, project, dataset, dataset_version, job, alice, bob, token):
    """One of everything, all Acme's."""
    model = TrainedModel.objects.create(
        team=team, project=project, dataset_version=dataset_version, name="m",
        task="text-classification", base_model="all-MiniLM-L6-v2", artifact_key="artifacts/none",
    )  # fmt: skip
    Evaluation.objects.create(model=model, report={})
    deployment = Deployment.objects.create(team=team, project=project, model=model, name="intents")
    prediction = TablePrediction.objects.create(
        team=team, deployment=deployment, dataset_version=dataset_version
    )
    publish(team, "training_job.failed", "It failed.")
    assistant = create_assistant(project, "shop-help", alice)
    conversation = Conversation.objects.create(channel=assistant.channels.get())
    endpoint, _ = endpoints.create(team, alice, url="https://acme.test/", events=["dataset.ready"])
    delivery = endpoints.send_test(endpoint, alice)
    return {
        "slug": team.slug, "project": str(project.pk), "dataset": str(dataset.pk),
        "version": str(dataset_version.pk), "job": str(job.pk), "model": str(model.pk),
        "deployment": str(deployment.pk), "prediction": str(prediction.pk),
        "assistant": str(assistant.pk),
        "channel": str(conversation.channel_id), "conversation": str(conversation.pk),
        "token": str(token.pk), "user": str(bob.pk),
        "notice": str(team.notices.get(event="training_job.failed").pk),
        "endpoint": str(endpoint.pk), "delivery": str(delivery.pk),
        "member": str(bob.memberships.get().pk), "name": "intents", "pk": str(job.pk),
    }  # fmt: skip
