"""Files in the order of time or group are suspected, and both figures are told."""

import numpy as np
import pytest

from engine.analysis.row_order import describe_row_order, serial_correlation


def grouped(rows=400, groups=20):
    """Houses by street: the price is the street's, which the features hardly show but name."""
    rng = np.random.default_rng(1)
    street = np.repeat(rng.normal(size=groups), rows // groups)
    number = np.repeat(rng.permutation(groups), rows // groups)
    size = rng.normal(size=rows)
    matrix = np.stack([number, size], 1)
    return matrix.astype(np.float32), 3 * street + size + 0.2 * rng.normal(size=rows)


def test_a_sorted_table_is_told_with_both_figures():
    sentence = describe_row_order(*grouped(), is_label=False)
    assert "in the order of time, place or group" in sentence
    assert "on whole blocks of unseen rows" in sentence


def test_the_same_rows_in_any_other_order_raise_no_suspicion():
    matrix, prices = grouped()
    order = np.random.default_rng(2).permutation(len(prices))
    assert describe_row_order(matrix[order], prices[order], is_label=False) == ""


def test_labels_in_blocks_are_suspect_and_mixed_ones_are_not():
    blocks, mixed = np.repeat([0, 1, 2], 50), np.tile([0, 1, 2], 50)
    assert serial_correlation(blocks, is_label=True) > 0.9
    assert serial_correlation(mixed, is_label=True) < 0


@pytest.mark.parametrize("targets", [np.zeros(200), np.arange(50.0)])
def test_constants_and_short_tables_say_nothing(targets):
    matrix = np.zeros((len(targets), 1), dtype=np.float32)
    assert describe_row_order(matrix, targets, is_label=False) == ""
