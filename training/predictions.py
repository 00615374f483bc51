"""The test rows of a model with its answers, read from the artifact that was tested."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from projects import storage
from training.models import TrainedModel

FILE = "predictions.parquet"
MOST_ROWS = 200


def rows_of(model: TrainedModel, *, true: str, predicted: str) -> list[dict[str, Any]]:
    """Rows with this label that were answered so, the surest first; at most MOST_ROWS.

    Empty when the artifact holds no predictions.
    """
    key = f"{model.artifact_key}/{FILE}"
    if not storage.exists(key):
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        storage.fetch_file(key, path)
        chosen = (pc.field("label") == true) & (pc.field("predicted") == predicted)
        table = pq.read_table(path, filters=chosen)
    found: list[dict[str, Any]] = table.sort_by([("probability", "descending")]).to_pylist()
    return found[:MOST_ROWS]
