"""The parts of a report on generated texts: samples beside the base model's."""

from typing import Any

import numpy as np

from engine.evaluation.rows import TestRows
from engine.evaluation.schema import Sample
from engine.metrics import generation
from engine.metrics.shapes import Floats, Generations

SHOWN_SAMPLES = 20
SHOWN_ROWS = 10
SHOWN_CHARACTERS = 4000


def parts(given: Generations, rows: TestRows, base: Generations | None) -> Any:
    """A partial Report. Samples are drawn evenly through the test rows, not picked."""
    scores = generation.row_scores(given)["rougeL"]
    others = generation.row_scores(base)["rougeL"] if base else None

    def shown(row: int) -> Sample:
        return _sample(given, rows, row, scores, base, others)

    even = np.unique(np.linspace(0, len(scores) - 1, SHOWN_SAMPLES).astype(int))
    order = np.argsort(scores, kind="stable")
    return {
        "samples": [shown(int(row)) for row in even],
        "examples": {
            "worst": [shown(int(row)) for row in order[:SHOWN_ROWS]],
            "best": [shown(int(row)) for row in order[::-1][:SHOWN_ROWS]],
        },
    }


def _sample(
    given: Generations,
    rows: TestRows,
    row: int,
    scores: Floats,
    base: Generations | None,
    others: Floats | None,
) -> Sample:
    sample: Sample = {
        "row": rows.source_rows[row],
        "prompt": rows.texts[row][:SHOWN_CHARACTERS],
        "reference": given.references[row][:SHOWN_CHARACTERS],
        "output": given.outputs[row][:SHOWN_CHARACTERS],
        "rougeL": float(scores[row]),
    }
    if base is not None and others is not None:
        sample["base_output"] = base.outputs[row][:SHOWN_CHARACTERS]
        sample["base_rougeL"] = float(others[row])
    return sample
