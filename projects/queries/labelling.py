"""Which rows to label next: those whose label is least certain first, by a trained model's answers
that the caller gives, otherwise by a small model fitted to the labels given so far.

Active learning by margin (Settles, "Active Learning Literature Survey", 2009, section 3.1): a row
whose two likeliest labels are nearly tied teaches most. The small model is a ridge classifier on
hashed TF-IDF of words (of pairs of characters where words are not spaced), fitted anew for each
batch in well under a second, so that it knows the labels of a minute ago.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb
import numpy as np
import numpy.typing as npt

from projects import storage
from projects.errors import BadRowQuery
from projects.models import DatasetVersion
from projects.queries.rows import connect
from projects.reading.columns.sql import quote_identifier, quote_literal

BATCH = 10
MAX_UNLABELLED, MAX_LABELLED = 5_000, 1_000  # Rows looked at for one batch.
MAX_KNOWN_LABELS = 2_000  # More than any model can have.
MIN_LABELLED = 6  # With fewer labels rows come in the order of the file.
DIMENSIONS, PENALTY = 2_048, 1.0
MAX_TEXT_CHARS, MAX_COUNTED_CHARS = 5_000, 2_000
_PIECES = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff]+|[\u3040-\u30ff\u3400-\u9fff]")
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RowToLabel:
    """`guess` is the likeliest label so far; empty while nothing can be guessed."""

    row: int
    text: str
    guess: str = ""


@dataclass(frozen=True)
class LabellingBatch:
    rows: list[RowToLabel]
    remaining: int  # Rows without a label, those of this batch among them.
    # By the answers given, by the small model, or the order of the file.
    order: Literal["model", "labels", "file"]


def next_rows(
    version: DatasetVersion,
    column: str,
    drafts: Mapping[int, str],
    texts: Sequence[str],
    skipped: frozenset[int] = frozenset(),
    ranked: Mapping[int, str] | None = None,
) -> LabellingBatch:
    """The rows to label next. `drafts` are labels given and not saved yet, by row; `column` may be
    one that the version does not have yet; `ranked` are a trained model's answers by row, the least
    certain first: while any of these rows is unlabelled, the batch is of them alone. Raises
    BadRowQuery for unknown columns of text."""
    present = [entry["name"] for entry in version.columns if entry["type"] != "image"]
    if not texts or any(name not in present for name in texts):
        raise BadRowQuery("Choose the columns of text to read.", param="text")
    joined = (
        f"concat_ws(chr(10), {', '.join(f'{quote_identifier(name)}::VARCHAR' for name in texts)})"
    )
    label = f"nullif(trim({quote_identifier(column)}::VARCHAR), '')"
    label_or_null = label if column in present else "NULL::VARCHAR"
    drafted = ", ".join(map(str, drafts)) or "-1"
    with storage.local_file(version.parquet_key) as path, connect() as connection:
        table = f"read_parquet({quote_literal(str(path))}, file_row_number = true)"
        source = (
            f"(SELECT file_row_number AS row, left({joined}, {MAX_TEXT_CHARS}) AS text,"
            f" {label_or_null} AS label FROM {table})"
        )
        open_ = f"label IS NULL AND row NOT IN ({drafted}) AND trim(text) <> ''"
        remaining = connection.execute(f"SELECT count(*) FROM {source} WHERE {open_}").fetchone()
        if ranked and (rows := _in_order(connection, source, open_, ranked, skipped)):
            return LabellingBatch(rows[:BATCH], remaining[0] if remaining else 0, "model")
        unlabelled = connection.execute(
            f"SELECT row, text FROM {source} WHERE {open_} LIMIT {MAX_UNLABELLED}"
        ).fetchall()
        labelled = connection.execute(
            f"SELECT row, text, label FROM {source} WHERE label IS NOT NULL OR row IN ({drafted})"
            f" ORDER BY label IS NOT NULL LIMIT {MAX_LABELLED}"
        ).fetchall()
    unlabelled = [(row, text) for row, text in unlabelled if row not in skipped]
    examples = [(text, drafts.get(row, label)) for row, text, label in labelled]
    rows, order = _order(unlabelled, examples)
    return LabellingBatch(rows[:BATCH], remaining[0] if remaining else 0, order)


def known_labels(version: DatasetVersion, column: str) -> set[str]:
    """The trimmed labels of this column, at most MAX_KNOWN_LABELS; none where the version has no
    such column."""
    if column not in {entry["name"] for entry in version.columns}:
        return set()
    label = f"nullif(trim({quote_identifier(column)}::VARCHAR), '')"
    with storage.local_file(version.parquet_key) as path, connect() as connection:
        rows = connection.execute(
            f"SELECT DISTINCT {label} FROM read_parquet({quote_literal(str(path))})"
            f" WHERE {label} IS NOT NULL LIMIT {MAX_KNOWN_LABELS}"
        ).fetchall()
    return {label for (label,) in rows}


def _in_order(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    open_: str,
    ranked: Mapping[int, str],
    skipped: frozenset[int],
) -> list[RowToLabel]:
    """The unlabelled rows among `ranked` in its order, with its guesses."""
    listed = ", ".join(map(str, ranked))
    texts = dict(
        connection.execute(
            f"SELECT row, text FROM {source} WHERE {open_} AND row IN ({listed})"
        ).fetchall()
    )
    return [
        RowToLabel(row, texts[row], guess)
        for row, guess in ranked.items()
        if row in texts and row not in skipped
    ]


def _order(
    unlabelled: list[tuple[int, str]], labelled: list[tuple[str, str]]
) -> tuple[list[RowToLabel], Literal["labels", "file"]]:
    """The unlabelled rows (row, text) by the margin between their two likeliest labels, smallest
    first, from ridge regression on the labelled texts (text, label) in its dual form; as they come
    where there are too few labels. Then which of both orders it is."""
    names = sorted({label for _, label in labelled})
    if len(labelled) < MIN_LABELLED or len(names) < 2 or not unlabelled:
        return [RowToLabel(row, text) for row, text in unlabelled], "file"
    features = _features([text for text, _ in labelled] + [text for _, text in unlabelled])
    labelled_features, unlabelled_features = features[: len(labelled)], features[len(labelled) :]
    truth = np.eye(len(names))[[names.index(label) for _, label in labelled]]
    prior = truth.mean(axis=0)
    kernel = labelled_features @ labelled_features.T + PENALTY * np.eye(len(labelled_features))
    scores = prior + unlabelled_features @ labelled_features.T @ np.linalg.solve(
        kernel, truth - prior
    )
    best = np.sort(scores, axis=1)
    order = np.argsort(best[:, -1] - best[:, -2], kind="stable")
    guesses = scores.argmax(axis=1)
    chosen = [(*unlabelled[place], names[guesses[place]]) for place in order.tolist()]
    return [RowToLabel(row, text, guess) for row, text, guess in chosen], "labels"


def _features(texts: Sequence[str]) -> Matrix:
    """Hashed TF-IDF (texts, DIMENSIONS) of pieces and their pairs, each row of length 1."""
    counts = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for place, text in enumerate(texts):
        pieces = _PIECES.findall(text[:MAX_COUNTED_CHARS].casefold())
        pairs = [f"{first} {second}" for first, second in zip(pieces, pieces[1:], strict=False)]
        for piece in [*pieces, *pairs]:
            counts[place, zlib.crc32(piece.encode()) % DIMENSIONS] += 1
    frequency = (counts > 0).sum(axis=0)
    weighted = np.log1p(counts) * np.log((1 + len(texts)) / (1 + frequency))
    lengths = np.linalg.norm(weighted, axis=1, keepdims=True)
    features: Matrix = weighted / np.maximum(lengths, 1e-9)
    return features
