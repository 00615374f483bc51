"""The child process of an import: `python -m projects.import_process <order.json>`.

Reads an untrusted file with limited memory and writes answer.json beside its table. Knows no
Django. Whatever a file does to this process, the worker that started it lives on.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from projects.profiling import profile_table
from projects.reading.outcome import Unreadable
from projects.reading.tables import connect, make_table

MEMORY_BYTES = 4 * 1024**3  # Address space, DuckDB's and Arrow's reservations included.


def main(order_path: str) -> None:
    """Carry out one order: {"upload", "filename", "overrides"}."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    path = Path(order_path)
    order = json.loads(path.read_text())
    (path.parent / "answer.json").write_text(json.dumps(_carry_out(order, path.parent)))


def _carry_out(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    try:
        table = make_table(Path(order["upload"]), order["filename"], folder, order["overrides"])
    except Unreadable as refusal:
        return {"failure": {"code": refusal.code, "sentence": refusal.sentence}}
    columns = [
        {"name": column.name, "type": column.type, "original_name": column.original_name}
        for column in table.columns
    ]
    with connect(folder) as connection:
        profile = profile_table(connection, table.data, columns)
    return {
        "rows": table.rows,
        "rejected_rows": table.rejected_rows,
        "columns": columns,
        "dialect": table.dialect,
        "issues": table.issues,
        "content_sha256": table.content_sha256,
        "profile": profile,
    }


if __name__ == "__main__":
    main(sys.argv[1])
