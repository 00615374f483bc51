from collections.abc import Iterator

import pytest

from tests.engine.conftest import models_folder  # noqa: F401
from tests.training.trainers import Trainer


@pytest.fixture
def trainer(models_folder) -> Iterator[type[Trainer]]:  # noqa: F811
    """Starts trainers on a tiny base model; none outlives its test."""
    started: list[Trainer] = []

    class Started(Trainer):
        def __init__(self, **changes: str) -> None:
            super().__init__(LATHE_MODELS_DIR=str(models_folder), **changes)
            started.append(self)

    yield Started
    for process in started:
        process.end()
