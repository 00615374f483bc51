"""Which rows share a batch: similar lengths together, so that little is spent on padding."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MOST_ROWS_PER_BATCH = 64
FEWEST_ROWS_PER_STEP = 16
BATCHES_PER_POOL = 50
FORWARD_BATCH = (4096, 256)  # Tokens and rows at which torch, on processors, reads quickest.
Batch = npt.NDArray[np.int64]


def batches_by_length(
    lengths: Sequence[int], batch_tokens: int, most_rows: int = MOST_ROWS_PER_BATCH
) -> list[Batch]:
    """All rows, shortest first, cut so that rows times the longest row stay within the budget."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    return _cut(order, np.asarray(lengths), batch_tokens, most_rows)


def epoch_steps(
    lengths: Sequence[int], batch_tokens: int, *, seed: int, epoch: int
) -> list[list[Batch]]:
    """The batches of every optimiser step of one epoch; the same seed and epoch, the same steps.

    Rows are shuffled, sorted by length within pools, cut into batches and shuffled again. Long
    texts make batches of few rows; consecutive ones are gathered into one step.
    """
    generator = np.random.default_rng((seed, epoch))
    sizes = np.asarray(lengths)
    order = generator.permutation(len(sizes))
    rows_per_pool = BATCHES_PER_POOL * max(
        1, min(MOST_ROWS_PER_BATCH, batch_tokens // max(1, int(sizes.mean())))
    )
    batches: list[Batch] = []
    for start in range(0, len(order), rows_per_pool):
        pool = order[start : start + rows_per_pool]
        by_length = pool[np.argsort(sizes[pool], kind="stable")]
        batches.extend(_cut(by_length, sizes, batch_tokens))
    shuffled = [batches[position] for position in generator.permutation(len(batches))]
    return gathered(shuffled)


def plain_steps(rows: int, batch_rows: int, *, seed: int, epoch: int) -> list[list[Batch]]:
    """Steps of one shuffled batch each, for rows that all cost the same."""
    order = np.random.default_rng((seed, epoch)).permutation(rows)
    return [[order[start : start + batch_rows]] for start in range(0, rows, batch_rows)]


def merged(steps: list[list[Batch]], accumulation: int) -> list[list[Batch]]:
    """The same batches with `accumulation` steps made into one."""
    return [
        [batch for step in steps[start : start + accumulation] for batch in step]
        for start in range(0, len(steps), accumulation)
    ]


def pieces(batch: Batch, halvings: int) -> list[Batch]:
    """The batch in at most 2^halvings parts, for a machine on which it does not fit whole."""
    return [part for part in np.array_split(batch, 2**halvings) if len(part)]


def _cut(
    order: Batch,
    lengths: npt.NDArray[np.int64],
    batch_tokens: int,
    most_rows: int = MOST_ROWS_PER_BATCH,
) -> list[Batch]:
    """`order` must be sorted by length: the last row of a batch is then its longest."""
    batches, start = [], 0
    ordered = lengths[order]
    for end in range(1, len(order) + 1):
        full = end - start >= most_rows or end == len(order)
        if full or (end - start + 1) * int(ordered[end]) > batch_tokens:
            batches.append(order[start:end])
            start = end
    return batches


def gathered(batches: list[Batch]) -> list[list[Batch]]:
    """Consecutive batches made into steps of enough rows."""
    steps: list[list[Batch]] = []
    current: list[Batch] = []
    for batch in batches:
        current.append(batch)
        if sum(map(len, current)) >= FEWEST_ROWS_PER_STEP:
            steps.append(current)
            current = []
    if current:
        steps.append(current)
    return steps
