"""The test rows of a model with its answers, read from the artifact that was tested."""

import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.artifacts.storage import fetch_predictions
from training.models import TrainedModel

MAX_ROWS = 200


def prediction_rows(model: TrainedModel, *, true: str, predicted: str) -> list[dict[str, object]]:
    """Rows with this label that were answered so, the surest first; at most MAX_ROWS.

    Empty when the artifact holds no predictions.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_predictions(model, Path(folder))
        if path is None:
            return []
        chosen = (pc.field("label") == true) & (pc.field("predicted") == predicted)
        table = pq.read_table(path, filters=chosen)
    surest_first = table.sort_by([("probability", "descending")]).slice(0, MAX_ROWS)
    rows: list[dict[str, object]] = surest_first.to_pylist()
    return rows
