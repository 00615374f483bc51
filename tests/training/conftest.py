from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.conftest import models_folder  # noqa: F401
from tests.training.trainers import Trainer


@pytest.fixture
def trainer() -> Iterator[Callable[..., Trainer]]:
    """Starts trainers with the fake engine; none outlives its test. Their leases are long enough
    for a busy machine; a test that waits for a lease to run out asks for a short one."""
    started: list[Trainer] = []

    def start(**options: Any) -> Trainer:
        started.append(Trainer(**({"LEASE_SECONDS": "20"} | options)))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def real_trainer(trainer, models_folder) -> Callable[[], Trainer]:  # noqa: F811
    """Starts trainers with the real engine on a tiny base model."""
    return lambda: trainer(real_engine=True, LATHE_MODELS_DIR=str(models_folder))
