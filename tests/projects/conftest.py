"""Ways to bring a file in: straight through the readers, or as a customer would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from projects import importing
from projects.models import DatasetVersion, Project
from projects.reading.tables import Table, make_table
from projects.uploading import receive


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Table]:
    """Read bytes (or a file) as a table."""
    count = 0

    def read_bytes(content: bytes | Path, filename: str = "data.csv", **overrides: Any) -> Table:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        upload = content
        if isinstance(content, bytes):
            upload = folder / "upload"
            upload.write_bytes(content)
        return make_table(upload, filename, folder, overrides)

    return read_bytes


def rows_of(table: Table) -> list[list[Any]]:
    found = pq.read_table(table.data)
    return [
        list(row) for row in zip(*(column.to_pylist() for column in found.columns), strict=True)
    ]


def names_of(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def types_of(table: Table) -> list[str]:
    return [column.type for column in table.columns]


@pytest.fixture
def bring_in(project: Project) -> Callable[..., DatasetVersion]:
    """Upload bytes and import them, as a worker would."""

    def upload_and_import(
        content: bytes, filename: str = "data.csv", **facts: Any
    ) -> DatasetVersion:
        facts.setdefault("by", None)
        came = receive(project=project, filename=filename, chunks=[content], **facts)
        importing.import_version(came.version.pk)
        came.version.refresh_from_db()
        return came.version

    return upload_and_import
