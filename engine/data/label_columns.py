"""Reads labels where each column is one label, and its cells say whether a row has it."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import BadTrainingData

PRESENT_WORDS = frozenset({
    "1", "1.0", "true", "t", "yes", "y", "x", "✓", "✔", "√", "☑", "ja", "oui", "sí", "si", "sim",
    "да", "tak", "是", "有", "はい", "예",
})  # fmt: skip
ABSENT_WORDS = frozenset({
    "0", "0.0", "false", "f", "no", "n", "☐", "nein", "nee", "nej", "non", "não", "нет", "nie",
    "否", "无", "無", "いいえ", "아니요",
})  # fmt: skip
Cells = Sequence[str | None]


def read_label_columns(
    columns: Mapping[str, Cells],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which labels each row has, shape (rows, columns), and whether all its cells are known, shape
    (rows,).

    In a column with words for absence (such as 0 or no), an empty cell is unknown; in others it
    means absence. Raises BadTrainingData, with column and row, for a cell with any other word.
    """
    read = [_read_column(name, cells) for name, cells in columns.items()]
    present = np.stack([values for values, _ in read], axis=1)
    is_known = np.stack([known for _, known in read], axis=1)
    return present, np.logical_and.reduce(is_known, axis=1)


def _read_column(name: str, cells: Cells) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    words = [cell.casefold() if cell else "" for cell in cells]
    for row, word in enumerate(words):
        if word and word not in PRESENT_WORDS and word not in ABSENT_WORDS:
            raise BadTrainingData(
                "not_a_mark",
                f"Column {name!r} says {word[:40]!r} in row {row + 1:,}; a column that stands for"
                " one label needs 1 or 0, yes or no, or true or false. Mend it, or leave it out.",
            )
    says_absence = any(word in ABSENT_WORDS for word in words)
    present = np.array([word in PRESENT_WORDS for word in words], dtype=bool)
    is_known = np.array([bool(word) or not says_absence for word in words], dtype=bool)
    return present, is_known
