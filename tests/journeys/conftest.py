import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.demo_data import write_demo_csv
from tests.engine.conftest import models_folder  # noqa: F401
from tests.journeys.product import PROJECT, Product


@pytest.fixture(scope="package")
def product() -> Iterator[Product]:
    """Started once for all journeys; stopped with Ctrl-C, which must end everything."""
    var = Path(tempfile.mkdtemp(prefix="lathe-journey-"))
    running = Product(var)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()
        shutil.rmtree(var, ignore_errors=True)


@pytest.fixture(scope="session")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Support tickets of our own making, as a customer would upload them."""
    path = tmp_path_factory.mktemp("data") / "tickets.csv"
    write_demo_csv(path, rows=300, seed=3)
    return path


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where the journeys leave their screenshots."""
    folder = PROJECT / "var" / "journey"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
