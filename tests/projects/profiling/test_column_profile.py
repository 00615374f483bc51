"""Many columns are profiled in few queries, with what each of them alone would get."""

import itertools
import random
import resource

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.importing import import_process
from projects.profiling import column_profile, table_profile
from projects.profiling.column_profile import profile_columns
from projects.reading.results import UnreadableFile
from projects.reading.tables import import_table

TYPES = {"BIGINT": "integer", "DOUBLE": "number", "VARCHAR": "text", "BOOLEAN": "boolean",
         "DATE": "date"}  # fmt: skip


@pytest.fixture
def table():
    """Columns of every type, with gaps, odd names, and values that no JSON holds."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE t AS SELECT i::BIGINT AS a,"
        " CASE WHEN i % 7 = 0 THEN NULL ELSE (i % 13) / 3.0 END::DOUBLE AS b,"
        " CASE WHEN i % 5 = 0 THEN NULL WHEN i % 3 = 0 THEN 'https://x.y/' || i"
        ' ELSE \'word \' || (i % 4) END AS "c ""q", NULL::VARCHAR AS d, i % 2 = 0 AS e,'
        " DATE '2026-01-01' + (i % 9)::INT AS f, 'NaN'::DOUBLE AS g, repeat('x', i % 300) AS h,"
        " CASE WHEN i = 1 THEN 'inf'::DOUBLE ELSE i END AS line, 'https://a.b/' || i AS place"
        " FROM range(1, 500) r(i)"
    )
    described = connection.execute("DESCRIBE t").fetchall()
    return connection, [{"name": row[0], "type": TYPES[row[1]]} for row in described]


def test_columns_together_get_what_each_alone_would(table, monkeypatch):
    connection, columns = table
    together = profile_columns(connection, "t", columns, 499)
    monkeypatch.setattr(column_profile, "MAX_CELLS_AT_ONCE", 1)
    assert profile_columns(connection, "t", columns, 499) == together
    found = {profile["name"]: profile for profile in together}
    assert (found["a"]["min"], found["a"]["max"], found["a"]["median"]) == (1, 499, 250)
    assert (found["b"]["missing"], found["b"]["unique"]) == (71, 13)
    assert found['c "q']["examples"] == ["word 1", "word 2", "https://x.y/3"]
    assert found['c "q']["top_values"][0]["count"] > 60
    assert (found["d"]["missing"], found["d"]["lengths"]["max"]) == (499, None)
    assert found["e"]["top_values"] == [{"value": "false", "count": 250},
                                        {"value": "true", "count": 249}]  # fmt: skip
    assert (found["g"]["mean"], found["line"]["max"]) == (None, 499)
    assert found["h"]["lengths"]["max"] == 299
    assert len(found["h"]["top_values"][0]["value"]) <= 201
    assert (found["place"]["looks_like"], found["f"]["unique"]) == ("url", 9)
    assert sum(found["a"]["histogram"]) == 499
    assert max(found["a"]["histogram"]) - min(found["a"]["histogram"]) <= 1  # 1, 2, … are even.
    assert sum(found["b"]["histogram"]) == 499 - 71
    assert "histogram" not in found["g"]  # No number among its values.


def test_a_table_of_no_rows_has_profiles_of_nothing(table):
    connection, columns = table
    empty = profile_columns(connection, "(FROM t LIMIT 0)", columns, 0)
    assert {(profile["unique"], profile["missing"]) for profile in empty} == {(0, 0)}


def wide_csv(folder, columns, rows=5):
    random.seed(1)
    cells = [
        lambda: str(random.randint(0, 99)),
        lambda: f"{random.random():.3f}",
        lambda: f"word{random.randint(0, 9)} more",
        lambda: f"2026-0{random.randint(1, 9)}-1{random.randint(0, 9)}",
    ]
    lines = [",".join(f"col{n}" for n in range(columns))]
    lines += [",".join(cells[n % 4]() for n in range(columns)) for _ in range(rows)]
    (folder / "upload").write_text("\n".join(lines) + "\n")
    return {"upload": str(folder / "upload"), "filename": "x.csv", "overrides": {}}


@pytest.mark.parametrize(
    ("columns", "most_seconds"), [(300, 6), pytest.param(1_999, 30, marks=pytest.mark.nightly)]
)
def test_wide_tables_cost_little(columns, most_seconds, tmp_path):
    """On a machine with nothing else running: 0.7 and 4 seconds; before, 9 and over 100."""
    order = wide_csv(tmp_path, columns)
    before = resource.getrusage(resource.RUSAGE_SELF)
    answer = import_process.carry_out(order, tmp_path)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert answer["failure"] is None
    types = [column["type"] for column in answer["table"]["columns"][:4]]
    assert types == ["integer", "number", "text", "date"]
    assert len(answer["table"]["profile"]["columns"]) == columns
    assert answer["table"]["table_bytes"] > 1000
    assert after.ru_utime - before.ru_utime < most_seconds


def test_a_file_that_is_made_to_grow_is_refused_before_it_does(tmp_path):
    rows = 2_000_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 1000]))
    pq.write_table(pa.table({"text": text}), tmp_path / "upload", compression="zstd")
    assert (tmp_path / "upload").stat().st_size < 300_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with pytest.raises(UnreadableFile, match="unpacks to 1.9 GB"):
        import_table(tmp_path / "upload", "x.parquet", tmp_path, {})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 3


def test_an_ordinary_parquet_file_is_read(tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), tmp_path / "upload")
    assert import_table(tmp_path / "upload", "x.parquet", tmp_path, {}).rows == 2


def test_a_long_table_is_sampled_evenly_and_only_for_what_is_no_count():
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE t AS SELECT i AS line, 'see https://a.b' AS text FROM range(25000) r(i)"
    )
    columns = [{"name": "line", "type": "integer"}, {"name": "text", "type": "text"}]
    sample, rows = table_profile._take_sample(connection, "t", columns, 25_000)
    found = [line for (line,) in connection.execute(f"SELECT line FROM {sample}").fetchall()]
    assert rows == len(found) == 8_333
    assert {after - before for before, after in itertools.pairwise(found)} == {3}
    profiles = profile_columns(connection, "t", columns, 25_000, sample)
    assert (profiles[0]["unique"], profiles[0]["max"]) == (25_000, 24_999)
    assert profiles[1]["mean_words"] == 2
    assert table_profile._take_sample(connection, "t", columns, 9_000) == ("t", 9_000)


def test_rows_with_an_id_of_their_own_are_not_compared():
    unique = [{"name": "id", "type": "integer", "unique": 7}]
    assert table_profile._count_duplicates(None, "no table", 7, unique) == 0
