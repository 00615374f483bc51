"""What a job sets for its whole process."""

import os

import pytest

from engine.loop.device import prepare_device
from engine.spec import parse_spec


@pytest.mark.parametrize(
    ("niceness", "yields", "then"), [(0, True, 10), (10, True, 10), (15, True, 15), (0, False, 0)]
)
def test_a_job_yields_the_processor_once_however_it_was_started(
    tmp_path, monkeypatch, niceness, yields, then
):
    """19, the sum of a trainer's niceness and its engine's, is a hundredth of a processor."""
    now = [niceness]

    def nice(more: int) -> int:
        now[0] += more
        return now[0]

    monkeypatch.setattr(os, "nice", nice)
    spec = parse_spec(
        {
            "task": "text-classification",
            "data": str(tmp_path / "data.parquet"),
            "text_columns": ["text"],
            "target_column": "label",
            "output": str(tmp_path / "artifact"),
            "work": str(tmp_path / "work"),
            "nice": yields,
        }
    )
    prepare_device(spec)
    assert now == [then]
