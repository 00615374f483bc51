"""The parts of a report on generated texts: samples beside the base model's."""

import numpy as np

from engine.evaluation.rows import TestRows
from engine.evaluation.schema import AnswerTypeParts, GenerationSample
from engine.metrics import generation
from engine.metrics.shapes import Floats, GenerationPredictions

MAX_DISPLAY_SAMPLES = 20
MAX_DISPLAY_ROWS = 10
MAX_DISPLAY_CHARACTERS = 4000


def build_generation_parts(
    predictions: GenerationPredictions, rows: TestRows, base: GenerationPredictions | None
) -> AnswerTypeParts:
    """Samples are drawn evenly over the test rows, not selected by their quality."""
    scores = generation.row_scores(predictions)["rougeL"]
    others = generation.row_scores(base)["rougeL"] if base else None

    def show(row: int) -> GenerationSample:
        return _format_sample(predictions, rows, row, scores, base, others)

    even = np.unique(np.linspace(0, len(scores) - 1, MAX_DISPLAY_SAMPLES).astype(int))
    order = np.argsort(scores, kind="stable")
    return {
        "samples": [show(int(row)) for row in even],
        "examples": {
            "worst": [show(int(row)) for row in order[:MAX_DISPLAY_ROWS]],
            "best": [show(int(row)) for row in order[::-1][:MAX_DISPLAY_ROWS]],
        },
    }


def _format_sample(
    predictions: GenerationPredictions,
    rows: TestRows,
    row: int,
    scores: Floats,
    base: GenerationPredictions | None,
    others: Floats | None,
) -> GenerationSample:
    sample: GenerationSample = {
        "row": rows.source_rows[row],
        "prompt": rows.texts[row][:MAX_DISPLAY_CHARACTERS],
        "reference": predictions.references[row][:MAX_DISPLAY_CHARACTERS],
        "output": predictions.outputs[row][:MAX_DISPLAY_CHARACTERS],
        "rougeL": float(scores[row]),
    }
    if base is not None and others is not None:
        sample["base_output"] = base.outputs[row][:MAX_DISPLAY_CHARACTERS]
        sample["base_rougeL"] = float(others[row])
    return sample
