"""Groups texts that are the same or nearly so: on both sides of a split, they would let a model
that memorised them score well.

The same: equal but for case, blanks and punctuation. Nearly the same: at least MIN_SIMILARITY of
their 8-byte shingles in common (Jaccard). Candidates come from MinHash signatures in bands (Broder,
"On the resemblance and containment of documents", 1997; Leskovec, Rajaraman, Ullman, "Mining of
Massive Datasets", chapter 3) and are then compared exactly. Texts of a few words are never nearly
the same, as one other word makes another question.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_SIMILARITY = 0.9
SHINGLE_BYTES = 8
MIN_BYTES = 100  # Of a text that is compared: a shorter one with another word is never at 0.9.
MAX_COMPARED_BYTES = 64_000_000
BLOCK_BYTES = 4_000_000  # Of text hashed at once; each needs some 30 bytes of memory.
SAMPLED = np.uint64(3)  # Shingles whose hash ends in these bits zero, one in four, are kept.
BANDS, ROWS_PER_BAND = 5, 4  # Finds pairs of 0.9 with 99.5% probability.
MIN_AGREEMENT = 0.65  # Of a signature's numbers; only one in 400 pairs of 0.9 has less.
# Larger groups follow one template, and would leave too few others to test on.
MAX_GROUP_SHARE, MIN_LARGE_GROUP = 0.05, 20
_NOT_WORDS = re.compile(r"[\W_]+")
_LAST = np.uint64(2**64 - 1)
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class TextGroups:
    """Groups of row numbers whose texts must stay together; every row is in one group."""

    groups: list[list[int]]
    warnings: list[str]


def group_texts(texts: Sequence[str]) -> TextGroups:
    """Rows whose texts are the same or nearly so, in the order of their first rows."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        folded = text.casefold()
        key = _NOT_WORDS.sub(" ", folded).strip() or " ".join(folded.split())
        rows_of[key].append(row)  # Texts that differ only in case, blanks and punctuation.
    keys, groups = list(rows_of), list(rows_of.values())
    if sum(map(len, keys)) > MAX_COMPARED_BYTES:
        sentence = (
            "So much text is compared by case, blanks and punctuation only: texts that differ in a"
            " word may stand on both sides of the split."
        )
        return TextGroups(groups, [sentence])
    limit = max(MIN_LARGE_GROUP, int(MAX_GROUP_SHARE * len(texts)))
    joined, template_texts = [], 0
    for members in merge_groups(len(keys), _near_pairs(keys)):
        rows = sorted(row for member in members for row in groups[member])
        if len(members) > 1 and len(rows) > limit:
            joined += [groups[member] for member in members]
            template_texts += len(rows)
        else:
            joined.append(rows)
    warnings = []
    if template_texts:
        warnings.append(
            f"{template_texts:,} texts follow a few templates and differ little: too many to keep"
            " on one side of the split. Split by a group or by time to test on other templates."
        )
    return TextGroups(sorted(joined), warnings)


def merge_groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The numbers below `count` in groups, where each pair is in one group (union-find with path
    halving)."""
    parent = list(range(count))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for left, right in pairs:
        first, second = sorted((root(left), root(right)))
        parent[second] = first
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(count):
        members[root(number)].append(number)
    return list(members.values())


def _near_pairs(keys: list[str]) -> Iterator[tuple[int, int]]:
    """Positions of texts with at least MIN_SIMILARITY of their shingles in common."""
    encoded = {place: key.encode() for place, key in enumerate(keys) if len(key) * 4 >= MIN_BYTES}
    places = [place for place, text in encoded.items() if len(text) >= MIN_BYTES]
    if len(places) < 2:
        return
    signatures = np.concatenate([*_signatures([encoded[place] for place in places])])
    for band in range(BANDS):
        for left, right in _candidates(np.roll(signatures, -band * ROWS_PER_BAND, axis=1)):
            first, second = places[left], places[right]
            if _similarity(encoded[first], encoded[second]) >= MIN_SIMILARITY:
                yield first, second


def _candidates(signatures: Hashes) -> set[tuple[int, int]]:
    """Pairs of rows that agree in the first band and in at least MIN_AGREEMENT of all numbers. Each
    row of a bucket is compared with the bucket's first row and with the one before it in order."""
    order = np.lexsort(signatures.T[::-1])
    ordered = signatures[order]
    band = ordered[:, :ROWS_PER_BAND]
    is_new = np.append(True, (band[1:] != band[:-1]).any(axis=1))
    firsts = np.flatnonzero(is_new)[np.cumsum(is_new) - 1]
    pairs: set[tuple[int, int]] = set()
    for others in (firsts, np.maximum(np.arange(len(order)) - 1, 0)):
        agreement = (ordered == ordered[others]).mean(axis=1)
        alike = ~is_new & (agreement >= MIN_AGREEMENT)
        pairs |= set(zip(order[others[alike]].tolist(), order[alike].tolist(), strict=True))
    return pairs


def _signatures(texts: list[bytes]) -> Iterator[Hashes]:
    """MinHash signatures (texts, BANDS × ROWS_PER_BAND), a block of texts at a time."""
    factors = np.random.default_rng(0).integers(
        2**63, size=BANDS * ROWS_PER_BAND, dtype=np.uint64
    ) * np.uint64(2) + np.uint64(1)
    block: list[bytes] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= BLOCK_BYTES:
            yield _sign(block, factors)
            block, size = [], 0
    if block:
        yield _sign(block, factors)


def _sign(texts: list[bytes], factors: Hashes) -> Hashes:
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    owner = np.repeat(np.arange(len(texts)), lengths)
    hashes = _mix(_shingles(b"".join(texts) + bytes(SHINGLE_BYTES - 1)))
    # Shingles that cross the end of a text are left out, and only a sample of the others is kept.
    ends = np.cumsum(lengths)[owner]
    is_sampled = (np.arange(len(hashes)) <= ends - SHINGLE_BYTES) & (hashes & SAMPLED == 0)
    hashes, owner = hashes[is_sampled], owner[is_sampled]
    present, starts = np.unique(owner, return_index=True)
    signature = np.full((len(texts), len(factors)), _LAST, dtype=np.uint64)
    signature[:, 0] = np.arange(len(texts))  # So that texts without sampled shingles are not equal.
    for place, factor in enumerate(factors):
        if len(starts):
            signature[present, place] = np.minimum.reduceat(hashes * factor, starts)
    return signature


def _shingles(text: bytes) -> Hashes:
    """Each run of SHINGLE_BYTES bytes as a number; the last one begins 7 bytes before the end."""
    values = np.frombuffer(text, dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(values, SHINGLE_BYTES)
    return np.ascontiguousarray(windows).view(np.uint64)[:, 0]


def _mix(values: Hashes) -> Hashes:
    """Hash numbers by the finalizer of SplitMix64 (Steele, Lea, Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _similarity(left: bytes, right: bytes) -> float:
    """Jaccard similarity of all shingles."""
    if not MIN_SIMILARITY <= len(left) / len(right) <= 1 / MIN_SIMILARITY:
        return 0.0  # Sets of so different sizes have too little in common, unless shingles repeat.
    first, second = np.unique(_shingles(left)), np.unique(_shingles(right))
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)
