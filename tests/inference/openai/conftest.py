"""The official client, whose requests reach the control plane without a network."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from accounts.models import ApiToken
from projects.importing import imports
from tests.projects.conftest import quick_child  # noqa: F401


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Requests share the test's connection and its transaction, as Django's own client does it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def make_client(token: ApiToken, **options: Any) -> openai.OpenAI:
    transport = httpx.WSGITransport(WSGIHandler())
    return openai.OpenAI(
        api_key=token.secret,
        base_url="http://localhost/v1",
        http_client=httpx.Client(transport=transport),
        max_retries=0,
        **options,
    )


@pytest.fixture
def client(token: ApiToken) -> openai.OpenAI:
    return make_client(token)


@pytest.fixture
def stranger(mallory_token: ApiToken) -> openai.OpenAI:
    return make_client(mallory_token)


def jsonl(rows: list[Any], name: str = "chats.jsonl") -> tuple[str, io.BytesIO]:
    return name, io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


def chat_rows(count: int = 12) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"What is {number} plus one?"},
                {"role": "assistant", "content": str(number + 1)},
            ]
        }
        for number in range(count)
    ]


@pytest.fixture
def training_file(client: openai.OpenAI, quick_child: None) -> Any:  # noqa: F811
    return client.files.create(file=jsonl(chat_rows()), purpose="fine-tune")


@pytest.fixture
def import_file() -> Callable[[str], None]:
    def run(file_id: str) -> None:
        imports.import_version(file_id.removeprefix("file-"))

    return run
