"""Further splits of a job's kind: nothing leaks, nothing that chose is tested."""

import itertools

import numpy as np
import pytest

from engine.data.splitting import split_rows
from engine.evaluation.folds import draw_folds
from engine.spec import SplitSpec

ROWS = 120


def job_split(method="stratified", column=None, seed=0, copies=0):
    rng = np.random.default_rng(seed)
    keys = [f"row {number - number % 2 if number < copies else number}" for number in range(ROWS)]
    labels = rng.choice(3, ROWS, p=[0.6, 0.3, 0.1]).tolist()
    named = {"column": "by"} if column is not None else {}
    spec = SplitSpec(method=method, seed=seed, validation_fraction=0.1, **named)
    return split_rows(keys, labels, spec, column)


def weeks():
    return [str(number // 3) for number in range(ROWS)]


KINDS = {
    "stratified": (job_split(), 1),
    "random": (job_split("random", seed=3), 1),
    "copies": (job_split(copies=60), 1),
    "group": (job_split("group", [f"customer {number % 20}" for number in range(ROWS)]), 1),
    "time": (job_split("time", weeks()), 1),
    "repeated": (job_split(copies=60), 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_and_no_group_stands_on_two_sides_and_no_chooser_is_tested(kind):
    split, repetition = KINDS[kind]
    folds = draw_folds(split, seed=1, repetition=repetition - 1)
    assert len(folds) >= 3
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test)
        for one, other in itertools.combinations(parts, 2):
            assert not set(split.groups[one]) & set(split.groups[other])
        assert not set(fold.test) & set(split.validation)
        assert set(split.strata[fold.test]) <= set(split.strata[fold.train])
    tested = np.concatenate([fold.test for fold in folds])
    assert len(set(tested)) == len(tested)


def test_the_first_repetition_completes_the_test_and_later_ones_test_all():
    split = job_split()
    first, second = draw_folds(split, 0), draw_folds(split, 0, repetition=1)
    known = np.concatenate([split.train, split.test])
    assert {*itertools.chain(*(fold.test for fold in first)), *split.test} == set(known)
    assert set(itertools.chain(*(fold.test for fold in second))) == set(known)
    sizes = [len(fold.train) for fold in (*first, *second)]
    assert min(sizes) >= 0.95 * len(split.train)
    again = draw_folds(split, 0, repetition=1)
    assert all((a.test == b.test).all() for a, b in zip(second, again, strict=True))


def test_each_block_of_time_learns_from_what_came_before_it():
    split = job_split("time", weeks())
    for fold in draw_folds(split, 0):
        assert split.moments[fold.train].max() < split.moments[fold.test].min()
        assert split.moments[fold.validation].max() < split.moments[fold.test].min()
        assert len(fold.train) >= 0.4 * len(split.train)
    assert not draw_folds(split, 0, repetition=1)


def test_a_label_of_one_row_is_learnt_from_and_never_tested():
    labels = [0] * 50 + [1] * 49 + [2]
    split = split_rows([str(row) for row in range(100)], labels, SplitSpec())
    for fold in draw_folds(split, 0):
        assert 99 in fold.train
        assert 99 not in fold.test


@pytest.mark.parametrize("labels", [[0, 1] * 3, [0, 1, 2] * 4, [0] * 6, list(range(12))])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_few_rows_of_every_label_make_few_folds_or_none(labels, share):
    keys = [f"key {number}" for number in range(len(labels))]
    split = split_rows(keys, labels, SplitSpec(test_fraction=share))
    for repetition in range(3):
        assert all(len(fold.test) for fold in draw_folds(split, 0, repetition))
