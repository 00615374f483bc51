"""Every table that can be read can be profiled, whatever its columns hold."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from projects.profiling.table_profile import profile_table
from projects.reading.results import UnreadableFile
from projects.reading.tables import connect_duckdb, import_table

WORDS = ["alpha", "beta", "gamma", "red", "blue", "green", "fast", "slow", "urgent", "refund"]
DELIMITERS = ",;\t"

Cell = Callable[[random.Random, int], object]
CELLS: dict[str, Cell] = {
    "integer": lambda rng, _: rng.randint(-1000, 1000),
    "64 bits": lambda rng, _: rng.randint(-(2**63), 2**63 - 1),
    "number": lambda rng, _: rng.gauss(0, 1e3),
    "charge": lambda rng, _: round(rng.uniform(1e3, 6e4), 2),
    "tiny": lambda rng, _: rng.gauss(0, 1e-300),
    "huge": lambda rng, _: rng.gauss(0, 1) * 10 ** rng.randint(0, 300),
    "scientific": lambda rng, _: f"{rng.uniform(1, 9):.3f}e{rng.randint(-30, 30)}",
    "unbounded": lambda rng, _: rng.choice(["inf", "-inf", "nan", 1.5, 2]),
    "money": lambda rng, _: f"${rng.randint(1, 99_999):,}.{rng.randint(0, 99):02d}",
    "share": lambda rng, _: f"{rng.uniform(0, 100):.1f}%",
    "date": lambda rng, _: f"20{rng.randint(10, 25)}-{rng.randint(1, 12):02d}-01",
    "US date": lambda rng, _: f"{rng.randint(1, 12)}/{rng.randint(1, 28)}/2024",
    "truth": lambda rng, _: rng.choice(["True", "False"]),
    "yes": lambda rng, _: rng.choice(["yes", "no", "Yes", "N/A"]),
    "text": lambda rng, _: " ".join(rng.choices(WORDS, k=rng.randint(1, 30))),
    "Chinese": lambda rng, _: "".join(rng.choices("你好世界今天很去吃饭", k=rng.randint(1, 30))),
    "marks": lambda rng, _: "".join(rng.choices("😀🎉\u200d\ufe0fé\u0301", k=4)),
    "constant": lambda *_: "same",
    "empty": lambda *_: "",
    "mixed": lambda rng, _: rng.choice([1, "x", 2.5, "", "None", "-", "2020-01-01"]),
    "number of the row": lambda _, row: row,
    "code": lambda rng, _: f"{rng.randint(0, 99_999):05d}",
    "e-mail": lambda rng, _: f"u{rng.randint(1, 50)}@example.com",
    "list": lambda rng, _: str([rng.choice(WORDS), rng.choice(WORDS)]),
    "nearly alike": lambda rng, _: rng.choice(["Hello there", "hello  there!"]) + rng.choice(WORDS),
    "sparse": lambda rng, _: rng.randint(1, 5) if rng.random() < 0.03 else "",
}


@pytest.mark.parametrize(
    "seed",
    [*range(8), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(8, 200))],
)
def test_a_table_of_any_columns_is_profiled(tmp_path, seed):
    rng = random.Random(seed)
    names = rng.choices(list(CELLS), k=rng.randint(1, 12))
    (tmp_path / "upload").write_text(_write(rng, names, rows=rng.choice([1, 2, 3, 10, 60, 400])))
    profile = _profile(tmp_path)
    assert json.dumps(profile, allow_nan=False)


@pytest.mark.parametrize("name", CELLS)
def test_a_column_of_any_kind_is_profiled_beside_a_label(tmp_path, name):
    (tmp_path / "upload").write_text(_write(random.Random(1), [name, "truth"], rows=120))
    profile = _profile(tmp_path)
    assert profile is not None
    assert len(profile["columns"]) == 2


def _write(rng: random.Random, names: list[str], rows: int) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=rng.choice(DELIMITERS))
    writer.writerow([f"{name} {place}" for place, name in enumerate(names)])
    writer.writerows([[CELLS[name](rng, row) for name in names] for row in range(rows)])
    return out.getvalue()


def _profile(folder: Path):
    """None for a table that is refused in words, as one of empty cells alone is."""
    try:
        table = import_table(folder / "upload", "data.csv", folder, {})
    except UnreadableFile:
        return None
    with connect_duckdb(folder) as connection:
        return profile_table(connection, table.data, [column.info for column in table.columns])
