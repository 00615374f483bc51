"""Finds pictures that are nearly the same as another, such as one saved again in another size or
format, by their difference hash: whether each of 16 × 16 places is brighter than its neighbour."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.tasks.image.data.decoding import InvalidImage, decode_image
from projects.profiling.profile import ProfileWarning
from projects.reading.columns.sql import quote_identifier
from projects.reading.fixes.operations import split_order

MAX_PICTURES, MAX_BYTES = 3_000, 300_000_000  # The first ones; decoding takes a millisecond each.
SIDE, BATCH = 16, 64
MAX_DIFFERENT_BITS, MAX_COLOUR_DISTANCE = 8, 8.0  # Of 256 bits; of mean red, green and blue.
MIN_SET_BITS = 24  # Of either kind: flat pictures and simple drawings are alike without being one.


@dataclass(frozen=True)
class _Picture:
    row: int
    label: str | None
    part: int | None  # Of the split, 0 for training.
    file: str
    digest: bytes
    bits: npt.NDArray[np.uint8]  # (32,)
    colour: npt.NDArray[np.float64]  # (3,)


def find_near_pictures(
    connection: duckdb.DuckDBPyConnection, table: str, image: str, present: set[str]
) -> list[ProfileWarning]:
    """A finding for pictures that are nearly those of another row, though not its bytes. Of each
    two, the one in the earlier split is dropped by the fix, else the later row."""
    pairs = _near_pairs(_read_pictures(connection, table, image, present))
    if not pairs:
        return []
    dropped = {(two if (one.part or 0) >= (two.part or 0) else one).row: None for one, two in pairs}
    first, again = pairs[0]
    what = "1 picture is" if len(dropped) == 1 else f"{len(dropped):,} pictures are"
    advice = ["Nearly equal pictures teach little."]
    if any(one.part != two.part for one, two in pairs):
        advice = ["Some stand in two splits, so the test would show memory."]
    if any(one.label != two.label for one, two in pairs):
        advice.append("Some have different labels: look which is right.")
    return [
        {
            "code": "near_pictures",
            "sentence": f"{what} nearly the same as another, such as {again.file} and"
            f" {first.file}.",
            "advice": " ".join(advice),
            "fix": {
                "title": "Keep one of each",
                "edits": [{"op": "drop_rows", "rows": list(dropped)}],
            },
        }
    ]


def _read_pictures(
    connection: duckdb.DuckDBPyConnection, table: str, image: str, present: set[str]
) -> list[_Picture]:
    label, file = (name if name in present else "NULL" for name in ("label", "file"))
    part = split_order("split") if "split" in present else "NULL"
    cursor = connection.execute(
        f"SELECT row_number() OVER () - 1, {label}::VARCHAR, {part}, coalesce({file}, '')::VARCHAR,"
        f" {quote_identifier(image)} FROM {table} LIMIT {MAX_PICTURES}"
    )
    pictures: list[_Picture] = []
    read = 0
    while read < MAX_BYTES and (rows := cursor.fetchmany(BATCH)):
        for row, label, part, file, content in rows:
            read += len(content or b"")
            try:
                bits, colour = _describe(content or b"")
            except InvalidImage:
                continue
            digest = hashlib.sha256(content).digest()
            pictures.append(_Picture(row, label, part, file, digest, bits, colour))
    return pictures


def _describe(content: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """The difference hash as 32 bytes, and the mean colour. Raises InvalidImage."""
    picture = decode_image(content, wanted_side=4 * SIDE).convert("RGB")
    small = picture.resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L"), dtype=np.int16)
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    return bits, np.asarray(small, dtype=np.float64).reshape(-1, 3).mean(axis=0)


def _near_pairs(pictures: Sequence[_Picture]) -> list[tuple[_Picture, _Picture]]:
    """Each picture with the first one before it that is nearly the same and not equal."""
    structured = [
        one
        for one in pictures
        if MIN_SET_BITS <= int(np.unpackbits(one.bits).sum()) <= SIDE * SIDE - MIN_SET_BITS
    ]
    if len(structured) < 2:
        return []
    bits = np.stack([one.bits for one in structured])
    colours = np.stack([one.colour for one in structured])
    counts = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    pairs = []
    for place in range(1, len(structured)):
        different = counts[bits[:place] ^ bits[place]].sum(axis=1)
        distance = np.abs(colours[:place] - colours[place]).max(axis=1)
        near = (different <= MAX_DIFFERENT_BITS) & (distance <= MAX_COLOUR_DISTANCE)
        for other in np.flatnonzero(near)[:20]:
            if structured[other].digest != structured[place].digest:
                pairs.append((structured[int(other)], structured[place]))
                break
    return pairs
