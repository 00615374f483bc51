"""Further splits of the same kind as a job's own, so that more rows than its test rows are tested.

Each fold is as large as the test, so that its model learns from as many rows as the job's model.
Rows that stay together in the job's split do so here, labels keep their share, and a split by time
tests each block on what came before it. Validation rows, by which the model was chosen, are never
tested: whatever was chosen by them was not chosen by the figures.
"""

import warnings
from dataclasses import replace

import numpy as np

from engine.data.splitting import Indices, Split
from engine.estimate.cross_validation import MAX_FOLDS

MIN_EARLIER_SHARE = 0.5  # Of the job's training rows, that a model of an earlier block has.


def draw_folds(split: Split, seed: int, repetition: int = 0) -> list[Split]:
    """The first repetition leaves the job's own test rows out, since its model has answered them;
    later ones test all rows but the validation's. None where a fold would be empty."""
    from sklearn.model_selection import StratifiedGroupKFold

    if split.moments is not None:
        return _list_earlier_blocks(split) if not repetition else []
    known = np.concatenate([split.train, split.test])
    pool = np.sort(split.train if not repetition else known)
    groups = split.groups[pool]
    count = round(len(pool) / max(1, len(split.test)))
    most = int(np.bincount(split.strata[pool]).max(initial=0))
    count = min(count, MAX_FOLDS - (not repetition), len(np.unique(groups)), most)
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=(seed + repetition) % 2**32)
    with warnings.catch_warnings():  # Labels with fewer rows than folds are in some of them only.
        warnings.simplefilter("ignore", UserWarning)
        parts = [pool[rows] for _, rows in splitter.split(pool, split.strata[pool], groups)]
    folds = [_hold_out(split, known, rows) for rows in parts]
    return [fold for fold in folds if len(fold.test)]


def _hold_out(split: Split, known: Indices, rows: Indices) -> Split:
    """Rows of a stratum that nothing would be left of to learn from are learnt from."""
    train = np.setdiff1d(known, rows)
    taught = np.isin(split.strata[rows], split.strata[train])
    return replace(split, train=np.union1d(train, rows[~taught]), test=np.sort(rows[taught]))


def _list_earlier_blocks(split: Split) -> list[Split]:
    """Blocks of training rows before the test, the latest first, each with the rows before it."""
    assert split.moments is not None
    moments, rows = split.moments, split.train
    timed = rows[np.isfinite(moments[rows])]
    timed = timed[np.argsort(moments[timed], kind="stable")]
    size, end = max(1, len(split.test)), len(timed)
    folds: list[Split] = []
    while end - size >= MIN_EARLIER_SHARE * len(rows) and len(folds) < MAX_FOLDS - 1:
        start = int(np.searchsorted(moments[timed], moments[timed[end - size]]))
        if start < MIN_EARLIER_SHARE * len(rows):
            break
        block, earlier = timed[start:end], timed[:start]
        untimed = rows[~np.isfinite(moments[rows])]
        fold = _split_before(split, np.union1d(earlier, untimed), block)
        folds += [fold] if len(fold.test) else []
        end = start
    return folds


def _split_before(split: Split, earlier: Indices, block: Indices) -> Split:
    """The latest of the earlier rows choose, as in the job; rows that come again in the block, or
    whose label came later, are in neither."""
    assert split.moments is not None
    earlier = earlier[~np.isin(split.groups[earlier], split.groups[block])]
    order = np.argsort(np.nan_to_num(split.moments[earlier], nan=-np.inf), kind="stable")
    share = len(split.validation) / max(1, len(split.validation) + len(split.train))
    chosen = round(share * len(earlier))
    train, validation = earlier[order[: len(order) - chosen]], earlier[order[len(order) - chosen :]]
    taught = np.isin(split.strata[block], split.strata[train])
    return replace(
        split, train=np.sort(train), validation=np.sort(validation), test=np.sort(block[taught])
    )
