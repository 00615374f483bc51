"""The door that hostile input is sent through."""

from typing import Any

import pytest
from django.db import transaction

NOT_SENT = 0


class Sender:
    """Sends each n-th request of a walk: of every field some values, of every value some fields."""

    def __init__(self, every: int) -> None:
        self.every, self.count = every, 0

    def __call__(self, client: Any, method: str, path: str, **options: Any) -> int:
        """The status, or NOT_SENT; whatever the request did is undone."""
        self.count += 1
        if self.count % self.every:
            return NOT_SENT
        with transaction.atomic():
            status: int = getattr(client, method)(path, **options).status_code
            transaction.set_rollback(True)
        return status


# Seven has no divisor in common with the 25 JSON values or the 11 texts.
@pytest.fixture(params=[7, pytest.param(1, marks=pytest.mark.nightly)], ids=["some", "all"])
def send(request: pytest.FixtureRequest) -> Sender:
    return Sender(request.param)


@pytest.fixture
def door(api, token, settings):
    """The API as Acme's own program, which shows a 500 instead of raising it."""
    settings.API_REQUESTS_PER_MINUTE = 0
    client = api(token)
    client.raise_request_exception = False
    return client
