"""Groups texts that are the same or nearly so, because on both sides of a split they would let a
test measure memory.

The same: equal but for case, blanks and punctuation. Nearly the same: at least MIN_SIMILARITY of
their 8-byte shingles in common (Jaccard). Candidates come from MinHash signatures in bands (Broder,
"On the resemblance and containment of documents", 1997; Leskovec, Rajaraman, Ullman, "Mining of
Massive Datasets", chapter 3) and are then compared exactly. Texts of a few words differ by too many
shingles to be candidates: one word makes another question of them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_SIMILARITY = 0.9
SHINGLE_BYTES = 8
MIN_BYTES = 100  # Of a text that is compared: in shorter ones no word can differ at 0.9.
MAX_COMPARED_BYTES = 64_000_000
BLOCK_BYTES = 4_000_000  # Of text hashed at once; each needs some 30 bytes of memory.
SAMPLED = np.uint64(3)  # Shingles whose hash ends in these bits zero, one in four, are kept.
BANDS, ROWS_PER_BAND = 5, 4  # Finds pairs of 0.9 with 99.5% probability.
MIN_AGREEMENT = 0.65  # Of a signature's numbers; of pairs of 0.9 only one in 400 has less.
# Larger groups follow one template, and would leave too few others to test on.
MAX_GROUP_SHARE, MIN_LARGE_GROUP = 0.05, 20
_NOT_WORDS = re.compile(r"[\W_]+")
_LAST = np.uint64(2**64 - 1)
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class TextGroups:
    """Row numbers of texts that belong together; every row is in one group."""

    groups: list[list[int]]
    warnings: list[str]


def text_key(text: str) -> str:
    """Equal for texts that differ only in case, blanks and punctuation."""
    folded = text.casefold()
    return _NOT_WORDS.sub(" ", folded).strip() or " ".join(folded.split())


def group_texts(texts: Sequence[str]) -> TextGroups:
    """Rows whose texts are the same or nearly so, in the order of their first rows."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        rows_of[text_key(text)].append(row)
    keys, groups = list(rows_of), list(rows_of.values())
    if sum(map(len, keys)) > MAX_COMPARED_BYTES:
        sentence = (
            "So much text is compared by case, blanks and punctuation only: texts that differ in a"
            " word may stand on both sides of the split."
        )
        return TextGroups(groups, [sentence])
    limit = max(MIN_LARGE_GROUP, int(MAX_GROUP_SHARE * len(texts)))
    joined, loose = [], 0
    for members in merge_groups(len(keys), _near_pairs(keys)):
        rows = sorted(row for member in members for row in groups[member])
        if len(members) > 1 and len(rows) > limit:
            joined += [groups[member] for member in members]
            loose += len(rows)
        else:
            joined.append(rows)
    warnings = []
    if loose:
        warnings.append(
            f"{loose:,} texts follow a few templates and differ little: too many to keep on one"
            " side of the split. Split by a group or by time to test on other templates."
        )
    return TextGroups(sorted(joined), warnings)


def merge_groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The numbers below `count` in sets, pairs joined: union-find with halved paths."""
    parent = list(range(count))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
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
        for one, other in _candidates(np.roll(signatures, -band * ROWS_PER_BAND, axis=1)):
            first, second = places[one], places[other]
            if _similarity(encoded[first], encoded[second]) >= MIN_SIMILARITY:
                yield first, second


def _candidates(signatures: Hashes) -> set[tuple[int, int]]:
    """Rows that agree in the first band and in enough of the rest: each of a bucket with the
    bucket's first and, as they are sorted, with the one before it."""
    order = np.lexsort(signatures.T[::-1])
    ordered = signatures[order]
    band = ordered[:, :ROWS_PER_BAND]
    is_new = np.append(True, (band[1:] != band[:-1]).any(axis=1))
    firsts = np.flatnonzero(is_new)[np.cumsum(is_new) - 1]
    found: set[tuple[int, int]] = set()
    for others in (firsts, np.maximum(np.arange(len(order)) - 1, 0)):
        agreement = (ordered == ordered[others]).mean(axis=1)
        alike = ~is_new & (agreement >= MIN_AGREEMENT)
        found |= set(zip(order[others[alike]].tolist(), order[alike].tolist(), strict=True))
    return found


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
    # Whether the shingle that begins here still belongs to one text; only a sample is kept.
    ends = np.cumsum(lengths)[owner]
    kept = (np.arange(len(hashes)) <= ends - SHINGLE_BYTES) & (hashes & SAMPLED == 0)
    hashes, owner = hashes[kept], owner[kept]
    present, starts = np.unique(owner, return_index=True)
    signature = np.full((len(texts), len(factors)), _LAST, dtype=np.uint64)
    signature[:, 0] = np.arange(len(texts))  # A text without any sampled shingle is like no other.
    for place, factor in enumerate(factors):
        if len(starts):
            signature[present, place] = np.minimum.reduceat(hashes * factor, starts)
    return signature


def _shingles(text: bytes) -> Hashes:
    """Each run of SHINGLE_BYTES bytes as a number, the last of them beginning 7 before the end."""
    values = np.frombuffer(text, dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(values, SHINGLE_BYTES)
    return np.ascontiguousarray(windows).view(np.uint64)[:, 0]


def _mix(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea, Flood, 2014): spreads similar numbers."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _similarity(one: bytes, other: bytes) -> float:
    """Jaccard similarity of all shingles."""
    if not MIN_SIMILARITY <= len(one) / len(other) <= 1 / MIN_SIMILARITY:
        return 0.0  # Sets of so different sizes share too little, unless shingles repeat.
    first, second = np.unique(_shingles(one)), np.unique(_shingles(other))
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)
