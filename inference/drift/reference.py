"""How the rows look that a model learnt from, and what it answered to its test rows.

Read from the stored dataset version and predictions, and kept in the cache, as neither changes.
"""

import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from django.core.cache import cache

from engine.answering.terms import split_terms
from engine.artifact import Inputs, Target
from inference.drift.bins import Bins, Value, category_bins, number_bins
from inference.drift.model_rows import Cells, cell_reader, text_of
from projects import storage
from projects.models import DatasetVersion
from projects.queries.rows import read_rows
from training.artifacts.storage import fetch_predictions
from training.models import TrainedModel

SAMPLED_ROWS, RUNS = 5_000, 20  # Of a longer table, so many rows in so many runs spread over it.
CACHE_SECONDS = 24 * 3600
REFERENCE_FORMAT = 1  # Raised when what is in the cache changes its form.
UNKNOWN_EDGES = (0.0, 0.1, 0.2, 0.4)  # Shares of a text's words that training did not have.
LENGTH, UNKNOWN_WORDS = "text_length", "unknown_words"
NO_LABEL = ("", "(none)")  # Left out: the log cannot tell such an answer from a refused row.


@dataclass
class Reference:
    """Bins with the counts of the training data, by feature or by LENGTH and UNKNOWN_WORDS.

    `known_terms`: checksums of the words of one half of the texts; the other half says how many
    unknown ones a text usually has.
    """

    inputs: dict[str, Bins] = field(default_factory=dict)
    answers: Bins | None = None
    known_terms: "array[int]" = field(default_factory=lambda: array("I"))

    def share_unknown(self) -> Callable[[str], float | None]:
        """The share of a text's distinct words that training did not have; None without words."""
        known = set(self.known_terms)

        def share(text: str) -> float | None:
            terms = _checksums(text)
            return len(terms - known) / len(terms) if terms else None

        return share


def load_reference(model: TrainedModel) -> Reference:
    """From the cache, else read from storage. What is not stored any more is left out."""
    key = f"drift-reference:{REFERENCE_FORMAT}:{model.pk}"
    reference: Reference | None = cache.get(key)
    if reference is None:
        reference = build_reference(model)
        cache.set(key, reference, CACHE_SECONDS)
    return reference


def build_reference(model: TrainedModel) -> Reference:
    inputs = Inputs.model_validate(model.manifest["inputs"])
    target = Target.model_validate(model.manifest["target"])
    reference = Reference(answers=_answers_to_test_rows(model, target))
    if inputs.kind == "image":  # The log keeps too few pictures to compare.
        return reference
    rows = _training_rows(model.dataset_version, inputs)
    if inputs.kind == "features":
        for feature in inputs.features:
            read = cell_reader(feature)
            values = [read(row.get(feature.name)) for row in rows]
            bins = bins_of(values, is_category=feature.kind == "category")
            bins.unit = "day" if feature.kind == "date" else ""
            reference.inputs[feature.name] = bins
    else:
        _add_texts(reference, [text_of(row, inputs) for row in rows])
    return reference


def bins_of(values: Sequence[Value], *, is_category: bool) -> Bins:
    if is_category:
        return category_bins([None if value is None else str(value) for value in values])
    return number_bins([None if value is None else float(value) for value in values])


def _add_texts(reference: Reference, rows: Iterable[str | None]) -> None:
    texts = [text for text in rows if text is not None]
    reference.inputs[LENGTH] = number_bins([len(text) for text in texts])
    known = {checksum for text in texts[::2] for checksum in _checksums(text)}
    reference.known_terms = array("I", sorted(known))
    share_unknown = reference.share_unknown()
    shares = [share_unknown(text) for text in texts[1::2]]
    reference.inputs[UNKNOWN_WORDS] = number_bins(shares, UNKNOWN_EDGES, unit="share")


def _checksums(text: str) -> set[int]:
    """Of the distinct words; numbers are left out, as most are new in every text."""
    return {zlib.crc32(term.encode()) for term in split_terms(text) if not term.isdecimal()}


def _training_rows(version: DatasetVersion, inputs: Inputs) -> list[Cells]:
    """Cells by their columns, of a sample of the rows; none where the table is deleted."""
    if not version.parquet_key or not storage.exists(version.parquet_key):
        return []
    with storage.local_file(version.parquet_key) as path:
        numbers = _sampled_numbers(pq.ParquetFile(path).metadata.num_rows)
        names = set(pq.read_schema(path).names)
        columns = [name for name in inputs.columns if name in names]
        rows = read_rows(path, numbers, columns) if columns else []
        return [dict(zip(columns, row.cells, strict=True)) for row in rows]


def _sampled_numbers(rows: int) -> list[int]:
    if rows <= SAMPLED_ROWS:
        return list(range(rows))
    length = SAMPLED_ROWS // RUNS
    starts = [run * (rows - length) // (RUNS - 1) for run in range(RUNS)]
    return sorted({start + place for start in starts for place in range(length)})


def _answers_to_test_rows(model: TrainedModel, target: Target) -> Bins | None:
    if target.kind == "text":
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_predictions(model, Path(folder))
        if path is None:
            return None
        answers = pq.read_table(path, columns=["predicted"])["predicted"].to_pylist()
    given = [answer for answer in answers if answer not in NO_LABEL]
    return bins_of(given, is_category=target.kind != "number")
