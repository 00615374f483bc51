"""Every row is in exactly one batch, batches stay within the budget, and steps repeat."""

import numpy as np
import pytest

from engine.data import batching

LENGTHS = np.random.default_rng(2).integers(1, 200, size=500).tolist()


def flat(steps) -> list[int]:
    return sorted(int(row) for step in steps for batch in step for row in batch)


@pytest.mark.parametrize("budget", [64, 256, 4096])
def test_sorted_batches_hold_every_row_once_within_the_budget(budget):
    batches = batching.length_sorted_batches(LENGTHS, budget)
    assert flat([batches]) == list(range(500))
    for batch in batches:
        longest = max(LENGTHS[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
        assert len(batch) <= batching.MAX_ROWS_PER_BATCH


def test_a_row_longer_than_the_budget_is_a_batch_of_its_own():
    batches = batching.length_sorted_batches([5, 500, 5], 100)
    assert [batch.tolist() for batch in batches] == [[0, 2], [1]]


def test_grouped_batches_repeat_for_a_seed_and_differ_between_epochs():
    one, again, other = (
        batching.length_grouped_batches(LENGTHS, 1024, seed=1, epoch=epoch) for epoch in (0, 0, 1)
    )
    assert [[b.tolist() for b in step] for step in one] == [
        [b.tolist() for b in step] for step in again
    ]
    assert flat(one) == flat(other) == list(range(500))
    assert one[0][0].tolist() != other[0][0].tolist()


def test_grouped_batches_are_of_similar_length():
    steps = batching.length_grouped_batches(LENGTHS, 1024, seed=1, epoch=0)
    batches = [batch for step in steps for batch in step if len(batch) > 1]
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    real = sum(LENGTHS[row] for batch in batches for row in batch)
    assert padded < 1.15 * real


def test_steps_have_enough_rows_for_a_stable_gradient():
    steps = batching.length_grouped_batches([900] * 40, 1000, seed=0, epoch=0)
    sizes = [sum(map(len, step)) for step in steps]
    assert sizes == [16, 16, 8]


def test_shuffled_batches_hold_every_row_once():
    steps = batching.shuffled_batches(10, 4, seed=0, epoch=3)
    assert [len(step[0]) for step in steps] == [4, 4, 2]
    assert flat(steps) == list(range(10))


def test_accumulation_merges_neighbouring_steps():
    steps = batching.shuffled_batches(10, 2, seed=0, epoch=0)
    merged = batching.merge_for_accumulation(steps, 2)
    assert [len(step) for step in merged] == [2, 2, 1]
    assert flat(merged) == flat(steps)
    assert batching.merge_for_accumulation(steps, 1) == steps


@pytest.mark.parametrize(
    ("rows", "halvings", "sizes"), [(8, 1, [4, 4]), (3, 2, [1, 1, 1]), (1, 5, [1])]
)
def test_microbatches_are_even_and_never_empty(rows, halvings, sizes):
    parts = batching.split_into_microbatches(np.arange(rows), halvings)
    assert [len(part) for part in parts] == sizes
    assert np.concatenate(parts).tolist() == list(range(rows))
