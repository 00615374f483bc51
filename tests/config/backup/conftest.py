"""A filled product, and an empty one beside it on the same server."""

import os
import uuid
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

from billing.credit import grants
from tests.inference.conftest import deployment, make_model, model, with_models  # noqa: F401
from tests.inference.processes import environment


@pytest.fixture
def database_url() -> str:
    facts = connection.settings_dict
    login = f"{facts['USER']}:{facts['PASSWORD']}"
    return f"postgresql://{login}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


@pytest.fixture
def empty_database_url(database_url):
    name = f"test_restored_{uuid.uuid4().hex[:12]}"
    server = urlsplit(database_url)._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield urlsplit(database_url)._replace(path=f"/{name}").geturl()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def use_empty_storage(tmp_path):
    """Called, makes an empty folder the default storage; returns the folder."""
    place = tmp_path / "restored-storage"
    backend = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(place), "allow_overwrite": True},
    }
    override = override_settings(STORAGES=settings.STORAGES | {"default": backend})
    entered = []

    def use():
        override.enable()
        entered.append(True)
        return place

    yield use
    if entered:
        override.disable()


@pytest.fixture
def filled(deployment, token, with_models):  # noqa: F811
    """A person, a job's model that is deployed, and a question that was answered and billed."""

    async def ask(client, app):
        answer = await client.post("/v1/classify", json={"model": "intents", "input": "my card"})
        assert answer.status_code == 200

    with_models(ask, token)
    grants.grant(token.team, 5_000_000, kind="promo", source="gift", note="A gift")
    return deployment


def contents(url: str) -> dict[str, str]:
    """A digest of every row, by table."""
    with psycopg.connect(url) as link:
        tables = link.execute(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        return {
            table: link.execute(
                f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t'
            ).fetchone()[0]
            for (table,) in tables
        }


def processes_environment(url: str, storage: str) -> dict[str, str]:
    return environment() | {"DATABASE_URL": url, "STORAGE_URL": storage, "PATH": os.environ["PATH"]}
