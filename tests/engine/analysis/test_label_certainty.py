"""Rows without a label in the order of a finished model's doubt."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.analysis import label_certainty
from engine.analysis.on_demand import AnalysisRequest, analyse
from engine.errors import BadTrainingData
from tests.engine.conftest import TOPICS
from tests.engine.test_pipeline import folder_of, run_here

SURE = [" ".join(words[:4]) for words in list(TOPICS.values())[:2]]


@pytest.fixture
def trained(write_spec):
    spec = write_spec(hyperparameters={"method": "probe", "contenders": False})
    run_here(spec)
    return folder_of(spec)


def write_rows(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def rank(folder, data, column="topic"):
    request = AnalysisRequest(kind="certainty", artifact=folder, data=data, column=column)
    return analyse(request)["rows"]


@pytest.mark.slow
def test_rows_without_a_label_come_least_sure_first(trained, tmp_path, monkeypatch):
    texts = [f"{SURE[n % 2]} the a my" for n in range(40)] + ["", "the a my old"]
    labels = [" " if n % 4 else "fruit" for n in range(42)]
    data = write_rows(tmp_path / "rows.parquet", text=texts, topic=labels)
    ranked = rank(trained, data)
    margins = [margin for _, _, margin in ranked]
    assert margins == sorted(margins)
    assert sorted(row for row, _, _ in ranked) == [n for n in range(42) if n % 4 and texts[n]]
    known = {row: label for row, label, _ in ranked}
    assert known[1] == known[3] != known[2]
    assert len(rank(trained, data, "new")) == 41  # The table has no such column yet.
    monkeypatch.setattr(label_certainty, "MAX_ROWS", 10)
    assert [row for row, *_ in sorted(rank(trained, data, "new"))] == [0, 5, 10, 15, 20, 25, 30, 35]


@pytest.mark.slow
def test_time_that_has_run_out_leaves_rows_of_every_part(trained, tmp_path):
    texts = [f"{SURE[n % 2]} number" for n in range(1_000)]
    data = write_rows(tmp_path / "rows.parquet", text=texts)
    ranking = label_certainty.rank_unlabelled(trained, data, "topic", seconds=0)
    rows = [row for row, *_ in ranking["rows"]]
    assert len(rows) == label_certainty.ROWS_AT_ONCE
    assert max(rows) > 900


@pytest.mark.slow
def test_a_table_without_the_models_columns_is_refused(trained, tmp_path):
    with pytest.raises(BadTrainingData, match="no column 'text'"):
        rank(trained, write_rows(tmp_path / "rows.parquet", body=["the apple"]))
