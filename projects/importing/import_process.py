"""The child process of an import: `python -m projects.importing.import_process <order.json>`.

Reads an untrusted file and writes answer.json beside its table. It loads no Django and its
environment holds no secret. A file that crashes this process does not crash the worker.
"""

import json
import resource
import sys
from pathlib import Path
from typing import cast

from projects.importing.import_order import ImportAnswer, ImportedVersion, ImportOrder, failed
from projects.profiling.findings.hidden_columns import find_hidden_columns
from projects.profiling.findings.side_by_side import find_side_by_side
from projects.profiling.table_profile import profile_table
from projects.reading.packed.importing import import_upload
from projects.reading.results import UnreadableFile
from projects.reading.tables import connect_duckdb

MAX_CPU_SECONDS = 1_800  # A file that takes longer is too large, or made to take long.
MAX_FILE_BYTES = 32 * 1024**3  # Of each file that the child writes, spilled rows included.


def main(order_path: str) -> None:
    """Import the file that the order names, and write the answer beside it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS + 5))
    path = Path(order_path)
    order = cast(ImportOrder, json.loads(path.read_text()))
    (path.parent / "answer.json").write_text(json.dumps(carry_out(order, path.parent)))


def carry_out(order: ImportOrder, folder: Path) -> ImportAnswer:
    """Write data.parquet and rejects.csv into the folder, and profile the table."""
    try:
        table = import_upload(Path(order["upload"]), order["filename"], folder, order["overrides"])
    except UnreadableFile as refusal:
        return failed(refusal.code, refusal.sentence)
    columns = [column.info for column in table.columns]
    with connect_duckdb(folder) as connection:
        profile = profile_table(connection, table.data, columns)
    hidden = find_hidden_columns(
        table.dialect.get("hidden_columns", []), [column["name"] for column in columns]
    )
    side_by_side = find_side_by_side(columns, profile["columns"], table.rows)
    asked = {question["column"] for question in table.questions}  # Which says more.
    others = [one for one in profile["warnings"] if one.get("column") not in asked]
    profile["warnings"] = [*hidden, *side_by_side, *others]
    if table.questions:
        profile["questions"] = table.questions
    imported: ImportedVersion = {
        "rows": table.rows,
        "rejected_rows": table.rejected_rows,
        "table_bytes": sum(
            (folder / name).stat().st_size for name in ("data.parquet", "rejects.csv")
        ),
        "columns": columns,
        "dialect": table.dialect,
        "issues": table.issues,
        "content_sha256": table.content_sha256,
        "profile": profile,
    }
    return {"table": imported, "failure": None}


if __name__ == "__main__":
    main(sys.argv[1])
