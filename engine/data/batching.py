"""Divides rows into batches of similar length, so that little padding is needed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MAX_ROWS_PER_BATCH = 64
MIN_ROWS_PER_STEP = 16
BATCHES_PER_POOL = 50
FORWARD_BATCH_LIMITS = (4096, 256)  # Tokens and rows at which torch is fastest on a CPU.
Batch = npt.NDArray[np.int64]


def length_sorted_batches(
    lengths: Sequence[int], batch_tokens: int, most_rows: int = MAX_ROWS_PER_BATCH
) -> list[Batch]:
    """All rows, shortest first, in batches whose rows times their longest row are at most
    `batch_tokens`."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    return _split_by_token_budget(order, np.asarray(lengths), batch_tokens, most_rows)


def length_grouped_batches(
    lengths: Sequence[int], batch_tokens: int, *, seed: int, epoch: int
) -> list[list[Batch]]:
    """The batches of every optimizer step of one epoch; the same for the same seed and epoch.

    Rows are shuffled, sorted by length within pools, split into batches and shuffled again. Batches
    of few long rows are merged into steps of at least MIN_ROWS_PER_STEP rows.
    """
    generator = np.random.default_rng((seed, epoch))
    sizes = np.asarray(lengths)
    order = generator.permutation(len(sizes))
    rows_per_pool = BATCHES_PER_POOL * max(
        1, min(MAX_ROWS_PER_BATCH, batch_tokens // max(1, int(sizes.mean())))
    )
    batches: list[Batch] = []
    for start in range(0, len(order), rows_per_pool):
        pool = order[start : start + rows_per_pool]
        by_length = pool[np.argsort(sizes[pool], kind="stable")]
        batches.extend(_split_by_token_budget(by_length, sizes, batch_tokens))
    shuffled = [batches[position] for position in generator.permutation(len(batches))]
    return group_into_steps(shuffled)


def shuffled_batches(rows: int, batch_rows: int, *, seed: int, epoch: int) -> list[list[Batch]]:
    """Steps of one shuffled batch each, for rows of equal cost."""
    order = np.random.default_rng((seed, epoch)).permutation(rows)
    return [[order[start : start + batch_rows]] for start in range(0, rows, batch_rows)]


def merge_for_accumulation(steps: list[list[Batch]], accumulation: int) -> list[list[Batch]]:
    """The same batches with `accumulation` steps merged into one."""
    return [
        [batch for step in steps[start : start + accumulation] for batch in step]
        for start in range(0, len(steps), accumulation)
    ]


def split_into_microbatches(batch: Batch, halvings: int) -> list[Batch]:
    """The batch in at most 2^halvings parts, for a machine with too little memory for all of it."""
    return [part for part in np.array_split(batch, 2**halvings) if len(part)]


def _split_by_token_budget(
    order: Batch,
    lengths: npt.NDArray[np.int64],
    batch_tokens: int,
    most_rows: int = MAX_ROWS_PER_BATCH,
) -> list[Batch]:
    """The rows of `order`, which must be sorted by length, in batches within the budget."""
    batches, start = [], 0
    ordered = lengths[order]
    for end in range(1, len(order) + 1):
        is_full = end - start >= most_rows or end == len(order)
        if is_full or (end - start + 1) * int(ordered[end]) > batch_tokens:
            batches.append(order[start:end])
            start = end
    return batches


def group_into_steps(batches: list[Batch]) -> list[list[Batch]]:
    """Consecutive batches merged into steps of at least MIN_ROWS_PER_STEP rows."""
    steps: list[list[Batch]] = []
    current: list[Batch] = []
    for batch in batches:
        current.append(batch)
        if sum(map(len, current)) >= MIN_ROWS_PER_STEP:
            steps.append(current)
            current = []
    if current:
        steps.append(current)
    return steps
