"""Ways to bring a file in: straight through the readers, or as a customer would."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from projects.importing import import_process, imports
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion, Project
from projects.reading.packed.importing import import_upload
from projects.reading.tables import ImportedTable
from web import child_process


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ImportedTable]:
    """Read bytes (or a file) as a table."""
    count = 0

    def read_bytes(
        content: bytes | Path, filename: str = "data.csv", **overrides: Any
    ) -> ImportedTable:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        upload = content
        if isinstance(content, bytes):
            upload = folder / "upload"
            upload.write_bytes(content)
        return import_upload(upload, filename, folder, overrides)

    return read_bytes


def rows_of(table: ImportedTable) -> list[list[Any]]:
    result = pq.read_table(table.data)
    return [
        list(row) for row in zip(*(column.to_pylist() for column in result.columns), strict=True)
    ]


def names_of(table: ImportedTable) -> list[str]:
    return [column.name for column in table.columns]


def types_of(table: ImportedTable) -> list[str]:
    return [column.type for column in table.columns]


@pytest.fixture
def quick_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports read in the test's own process. The real child has tests of its own."""

    def carry_out_here(_: object, order: Path) -> child_process.Finished:
        answer = import_process.carry_out(json.loads(order.read_text()), order.parent)
        (order.parent / "answer.json").write_text(json.dumps(answer))
        return child_process.Finished(0, "", "")

    monkeypatch.setattr(imports, "_run_child_process", carry_out_here)


@pytest.fixture
def bring_in(project: Project, quick_child: None) -> Callable[..., DatasetVersion]:
    """Upload bytes and import them, as a worker would."""

    def upload_and_import(
        content: bytes, filename: str = "data.csv", **facts: Any
    ) -> DatasetVersion:
        facts.setdefault("by", None)
        came = receive_upload(project=project, filename=filename, chunks=[content], **facts)
        imports.import_version(came.version.pk)
        came.version.refresh_from_db()
        return came.version

    return upload_and_import
