"""Does the model still answer right when the input is a little off? Before and after, same rows.

Perturbations keep the meaning: typing errors, letter case, punctuation and blanks, a lost word;
missing and noisy cells; blur, light and tilt. No paraphrase is made, so no label can become wrong.
Each takes a seeded draw and is measured with the report's own metrics and paired tests.
"""

import random
import re
import string
from collections.abc import Callable, Sequence
from typing import Any, NotRequired

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from engine.evaluation.conclusion import shown, verdict_of
from engine.evaluation.kinds import headline_of, kind_of
from engine.evaluation.rows import Given
from engine.metrics.measures import Measure
from engine.metrics.paired import Significance
from engine.metrics.shapes import Ints

MOST_ROWS = 300
CHANGED_EXAMPLES = 5
TYPO_SHARE = 0.08  # Of the letters, at least one in each text.
DROP_SHARE = 0.15  # Of the words.
MISSING_SHARE = 0.1  # Of the cells.
NOISE_SCALE = 0.1  # Standard deviations.
GRAIN = 0.05  # Standard deviation of the noise on pixels from 0 to 1.
SHIFT_SHARE = 0.08  # Of a side.
NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok",
    "o": "ipl", "p": "o", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb",
    "h": "gyjn", "j": "hukm", "k": "jil", "l": "ko", "z": "ax", "x": "zsc", "c": "xdv", "v": "cfb",
    "b": "vgn", "n": "bhm", "m": "nj",
}  # fmt: skip

Images = npt.NDArray[np.float32]


class Change(TypedDict):
    id: str
    title: str
    metrics: list[Measure]
    significance: Significance  # Changed less unchanged, on the same rows.
    is_worse: bool
    flipped: NotRequired[int]
    examples: NotRequired[list[dict[str, str]]]


class Robustness(TypedDict):
    rows: int
    sentence: str
    unchanged: list[Measure]
    changes: list[Change]
    method: str
    adversarial: NotRequired[dict[str, Any]]


def sample_rows(rows: int, seed: int = 0, most: int = MOST_ROWS) -> Ints:
    """Which test rows are changed: a few hundred at most, so that the check stays quick."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def typos(text: str, dice: random.Random) -> str:
    """Neighbouring keys, swapped, doubled and lost letters."""
    letters = list(text)
    places = [place for place, letter in enumerate(letters) if letter.isalpha()]
    for place in dice.sample(places, min(len(places), max(1, round(TYPO_SHARE * len(places))))):
        letters[place] = _typo(letters, place, dice)
    return "".join(letters)


def _typo(letters: list[str], place: int, dice: random.Random) -> str:
    letter = letters[place]
    kind = dice.choice(("neighbour", "double", "lose", "swap"))
    if kind == "neighbour" and letter.lower() in NEIGHBOURS:
        return dice.choice(NEIGHBOURS[letter.lower()])
    if kind == "swap" and place + 1 < len(letters) and letters[place + 1].isalpha():
        letters[place + 1], letter = letter, letters[place + 1]
        return letter
    return "" if kind == "lose" and len(letters) > 1 else letter * 2


def flip_case(text: str, dice: random.Random) -> str:
    return text.lower() if text.isupper() or dice.random() < 0.5 else text.upper()


def punctuation(text: str, dice: random.Random) -> str:
    """Punctuation lost, blanks doubled, a stray mark at the end."""
    bare = text.translate(str.maketrans("", "", string.punctuation)) or text
    spaced = re.sub(r" ", lambda _: dice.choice((" ", "  ")), bare)
    return spaced + dice.choice(("", " ", "!!", " ...", " ?"))


def drop_words(text: str, dice: random.Random) -> str:
    """Some words lost; never all of them."""
    words = text.split(" ")
    lost = min(len(words) - 1, max(1, round(DROP_SHARE * len(words))))
    gone = set(dice.sample(range(len(words)), lost)) if lost > 0 else set()
    return " ".join(word for place, word in enumerate(words) if place not in gone)


TEXT_CHANGES: dict[str, tuple[str, Callable[[str, random.Random], str]]] = {
    "typos": ("Typing errors", typos),
    "case": ("Upper or lower case", flip_case),
    "punctuation": ("Punctuation and blanks", punctuation),
    "drop": ("A lost word or two", drop_words),
}


def texts_under_change(
    before: Given,
    texts: Sequence[str],
    answer: Callable[[list[str]], Given],
    seed: int = 0,
) -> Robustness:
    """`before` are the answers to `texts` (already sampled); `answer` gives them for other texts,
    with the same true values."""
    changes = []
    for id_, (title, change) in TEXT_CHANGES.items():
        dice = random.Random(f"{seed}-{id_}")
        changed = [change(text, dice) for text in texts]
        found = _change(id_, title, before, answer(changed))
        found["examples"] = [
            {"before": text[:300], "after": other[:300]}
            for text, other in zip(texts, changed, strict=True)
            if text != other
        ][:CHANGED_EXAMPLES]
        changes.append(found)
    return _summed(before, changes)


Table = dict[str, list[Any]]


def tables_under_change(
    before: Given, table: Table, answer: Callable[[Table], Given], seed: int = 0
) -> Robustness:
    """The same for rows of a table, given as columns: cells lost, numbers a little off."""
    found = [
        _change("missing", "One cell in ten missing", before, answer(_without_cells(table, seed))),
        _change("noise", "Numbers a little off", before, answer(_with_noise(table, seed))),
    ]
    return _summed(before, found)


def _without_cells(table: Table, seed: int) -> Table:
    dice = np.random.default_rng(seed)
    return {
        name: [None if dice.random() < MISSING_SHARE else cell for cell in cells]
        for name, cells in table.items()
    }


def _with_noise(table: Table, seed: int) -> Table:
    dice = np.random.default_rng(seed)
    return {name: _noisy(cells, dice) for name, cells in table.items()}


def _noisy(cells: list[Any], dice: np.random.Generator) -> list[Any]:
    """Whole numbers stay whole; anything but numbers stays as it is."""
    known = [c for c in cells if isinstance(c, int | float) and not isinstance(c, bool) and c == c]
    if not known or len(known) < sum(cell is not None for cell in cells):
        return cells
    scale, whole = NOISE_SCALE * float(np.std(known)), all(float(c).is_integer() for c in known)

    def moved(cell: Any) -> Any:
        if cell is None or cell != cell:
            return cell
        value = float(cell) + float(dice.normal(0, scale))
        return round(value) if whole else value

    return [moved(cell) for cell in cells]


def images_under_change(
    before: Given, images: Images, answer: Callable[[Images], Given]
) -> Robustness:
    """The same for images (rows, height, width, channels) between 0 and 1."""
    return _summed(
        before,
        [
            _change(id_, title, before, answer(change(images)))
            for id_, title, change in IMAGE_CHANGES
        ],
    )


def blurred(images: Images) -> Images:
    from scipy.ndimage import gaussian_filter

    softer: Images = gaussian_filter(images, sigma=(0, 1.0, 1.0, 0))
    return softer


def darker(images: Images) -> Images:
    changed: Images = np.clip(images * np.float32(0.6), 0, 1)
    return changed


def brighter(images: Images) -> Images:
    changed: Images = np.clip(images * np.float32(1.4), 0, 1)
    return changed


def tilted(images: Images) -> Images:
    from scipy.ndimage import rotate

    turned: Images = rotate(images, 10, axes=(2, 1), reshape=False, mode="nearest", order=1)
    return np.clip(turned, 0, 1)


def grainy(images: Images) -> Images:
    noise = np.random.default_rng(0).normal(0, GRAIN, images.shape).astype(np.float32)
    changed: Images = np.clip(images + noise, 0, 1)
    return changed


def shifted(images: Images) -> Images:
    """Right and down; the edge is drawn out to fill what is left free."""
    down, right = (max(1, round(SHIFT_SHARE * side)) for side in images.shape[1:3])
    room = ((0, 0), (down, 0), (right, 0), (0, 0))
    padded: Images = np.pad(images, room, mode="edge")[:, : images.shape[1], : images.shape[2]]
    return padded


PLURAL = {"typos", "punctuation", "noise"}  # Changes whose titles are.
IMAGE_CHANGES: tuple[tuple[str, str, Callable[[Images], Images]], ...] = (
    ("blur", "A slight blur", blurred),
    ("dark", "40% less light", darker),
    ("bright", "40% more light", brighter),
    ("grain", "A little grain", grainy),
    ("shift", "A shift by 8%", shifted),
    ("tilt", "A tilt by 10 degrees", tilted),
)


def _change(id_: str, title: str, before: Given, after: Given) -> Change:
    kind = kind_of(before)
    measured = kind.measure(after, kind.beside)
    significance = kind.compare(after, before)
    better = next(m["better"] for m in measured if m["name"] == significance["metric"])
    found: Change = {
        "id": id_,
        "title": title,
        "metrics": measured,
        "significance": significance,
        "is_worse": verdict_of(significance, better) == "hurt",
    }
    if "tuned_only_right" in significance:
        found["flipped"] = significance["other_only_right"]
    return found


def _summed(before: Given, changes: list[Change]) -> Robustness:
    kind = kind_of(before)
    unchanged = kind.measure(before, kind.beside)
    metric = headline_of(kind, unchanged)
    return {
        "rows": len(getattr(before, "true", getattr(before, "outputs", []))),
        "sentence": _sentence(unchanged, changes, metric),
        "unchanged": unchanged,
        "changes": changes,
        "method": "the same test rows, changed by a seeded draw; paired tests as for contenders",
    }


def _sentence(unchanged: list[Measure], changes: list[Change], metric: str) -> str:
    own = next(one for one in unchanged if one["name"] == metric)
    hurt = [one for one in changes if one["is_worse"]]
    if own["value"] is None or not hurt:
        return "None of these changes makes it surely worse."
    after = {
        one["id"]: next(m["value"] for m in one["metrics"] if m["name"] == metric) for one in hurt
    }
    size = {id_: abs((value or 0) - own["value"]) for id_, value in after.items()}
    worst = max(hurt, key=lambda one: size[one["id"]])
    title, value = own["title"], after[worst["id"]] or 0.0
    return (
        f"{worst['title']} hurt{'' if worst['id'] in PLURAL else 's'} most: {title.lower()} goes"
        f" from {shown(own, own['value'])} to {shown(own, value)}. {len(hurt)} of {len(changes)}"
        " changes make it surely worse."
    )
