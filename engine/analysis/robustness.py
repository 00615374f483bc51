"""Measures how much worse a model answers slightly changed inputs, on the same rows.

Perturbations keep the meaning: typing errors, letter case, punctuation and blanks, a lost word;
missing and noisy cells; blur, light and tilt. No text is paraphrased, so no label becomes wrong.
Each is drawn with a seed and measured with the report's own metrics and paired tests.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.augmentation.text_perturbations import (
    add_typos,
    drop_words,
    flip_case,
    perturb_punctuation,
)
from engine.evaluation.answer_types import get_answer_type, get_main_metric
from engine.evaluation.rows import ModelPredictions
from engine.evaluation.schema import PerturbationResult, RobustnessReport
from engine.evaluation.verdict import decide_verdict, find_measure, format_value
from engine.metrics.measures import Measure
from engine.metrics.shapes import Ints

MAX_TESTED_ROWS = 300
MAX_DISPLAY_EXAMPLES = 5
MISSING_SHARE = 0.1  # Of the cells.
NOISE_SCALE = 0.1  # Standard deviations.
PIXEL_NOISE_STD = 0.05  # Standard deviation of the noise on pixels from 0 to 1.
SHIFT_SHARE = 0.08  # Of a side.

Images = npt.NDArray[np.float32]


def sample_test_rows(rows: int, seed: int = 0, most: int = MAX_TESTED_ROWS) -> Ints:
    """Which test rows are changed: a few hundred at most, so that the check stays quick."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


TEXT_PERTURBATIONS: dict[str, tuple[str, Callable[[str, random.Random], str]]] = {
    "typos": ("Typing errors", add_typos),
    "case": ("Upper or lower case", flip_case),
    "punctuation": ("Punctuation and blanks", perturb_punctuation),
    "drop": ("A lost word or two", drop_words),
}


def evaluate_text_robustness(
    before: ModelPredictions,
    texts: Sequence[str],
    answer: Callable[[list[str]], ModelPredictions],
    seed: int = 0,
) -> RobustnessReport:
    """`before` are the predictions on `texts` (already sampled); `answer` makes them for other
    texts with the same true values."""
    results = []
    for id_, (title, change) in TEXT_PERTURBATIONS.items():
        rng = random.Random(f"{seed}-{id_}")
        changed = [change(text, rng) for text in texts]
        result = _measure_perturbation(id_, title, before, answer(changed))
        result["examples"] = [
            {"before": text[:300], "after": other[:300]}
            for text, other in zip(texts, changed, strict=True)
            if text != other
        ][:MAX_DISPLAY_EXAMPLES]
        results.append(result)
    return _make_report(before, results)


TableColumns = dict[str, list[Any]]


def evaluate_table_robustness(
    before: ModelPredictions,
    table: TableColumns,
    answer: Callable[[TableColumns], ModelPredictions],
    seed: int = 0,
) -> RobustnessReport:
    """The same for rows of a table, given as columns: cells removed, noise added to numbers."""
    rng = np.random.default_rng(seed)
    incomplete = {
        name: [None if rng.random() < MISSING_SHARE else cell for cell in cells]
        for name, cells in table.items()
    }
    rng = np.random.default_rng(seed)
    noisy = {name: _add_column_noise(cells, rng) for name, cells in table.items()}
    results = [
        _measure_perturbation("missing", "One cell in ten missing", before, answer(incomplete)),
        _measure_perturbation("noise", "Numbers a little off", before, answer(noisy)),
    ]
    return _make_report(before, results)


def _add_column_noise(cells: list[Any], rng: np.random.Generator) -> list[Any]:
    """Whole numbers stay whole; anything but numbers stays as it is."""
    known = [c for c in cells if isinstance(c, int | float) and not isinstance(c, bool) and c == c]
    if not known or len(known) < sum(cell is not None for cell in cells):
        return cells
    scale = NOISE_SCALE * float(np.std(known))
    is_whole = all(float(cell).is_integer() for cell in known)
    noisy: list[Any] = []
    for cell in cells:
        if cell is None or cell != cell:
            noisy.append(cell)
            continue
        value = float(cell) + float(rng.normal(0, scale))
        noisy.append(round(value) if is_whole else value)
    return noisy


def evaluate_image_robustness(
    before: ModelPredictions, images: Images, answer: Callable[[Images], ModelPredictions]
) -> RobustnessReport:
    """The same for images (rows, height, width, channels) between 0 and 1."""
    results = [
        _measure_perturbation(id_, title, before, answer(change(images)))
        for id_, title, change in IMAGE_PERTURBATIONS
    ]
    return _make_report(before, results)


def blur(images: Images) -> Images:
    from scipy.ndimage import gaussian_filter

    softer: Images = gaussian_filter(images, sigma=(0, 1.0, 1.0, 0))
    return softer


def darken(images: Images) -> Images:
    changed: Images = np.clip(images * np.float32(0.6), 0, 1)
    return changed


def brighten(images: Images) -> Images:
    changed: Images = np.clip(images * np.float32(1.4), 0, 1)
    return changed


def tilt(images: Images) -> Images:
    from scipy.ndimage import rotate

    turned: Images = rotate(images, 10, axes=(2, 1), reshape=False, mode="nearest", order=1)
    return np.clip(turned, 0, 1)


def add_pixel_noise(images: Images) -> Images:
    noise = np.random.default_rng(0).normal(0, PIXEL_NOISE_STD, images.shape).astype(np.float32)
    changed: Images = np.clip(images + noise, 0, 1)
    return changed


def shift_images(images: Images) -> Images:
    """Right and down; the edge pixels are repeated to fill the gap."""
    down, right = (max(1, round(SHIFT_SHARE * side)) for side in images.shape[1:3])
    room = ((0, 0), (down, 0), (right, 0), (0, 0))
    padded: Images = np.pad(images, room, mode="edge")[:, : images.shape[1], : images.shape[2]]
    return padded


PLURAL_TITLES = {"typos", "punctuation", "noise"}  # Perturbations whose titles are plural.
IMAGE_PERTURBATIONS: tuple[tuple[str, str, Callable[[Images], Images]], ...] = (
    ("blur", "A slight blur", blur),
    ("dark", "40% less light", darken),
    ("bright", "40% more light", brighten),
    ("grain", "A little grain", add_pixel_noise),
    ("shift", "A shift by 8%", shift_images),
    ("tilt", "A tilt by 10 degrees", tilt),
)


def _measure_perturbation(
    id_: str, title: str, before: ModelPredictions, after: ModelPredictions
) -> PerturbationResult:
    kind = get_answer_type(before)
    measured = kind.measure(after, kind.summary_metrics)
    significance = kind.compare(after, before)
    better = find_measure(measured, significance["metric"])["better"]
    result: PerturbationResult = {
        "id": id_,
        "title": title,
        "metrics": measured,
        "significance": significance,
        "is_worse": decide_verdict(significance, better) == "hurt",
    }
    if "tuned_only_right" in significance:
        result["flipped"] = significance["other_only_right"]
    return result


def _make_report(before: ModelPredictions, changes: list[PerturbationResult]) -> RobustnessReport:
    kind = get_answer_type(before)
    unchanged = kind.measure(before, kind.summary_metrics)
    metric = get_main_metric(kind)
    return {
        "rows": len(getattr(before, "true", getattr(before, "outputs", []))),
        "sentence": _format_sentence(unchanged, changes, metric),
        "unchanged": unchanged,
        "changes": changes,
        "method": "the same test rows, changed by a seeded draw; paired tests as for contenders",
    }


def _format_sentence(
    unchanged: list[Measure], changes: list[PerturbationResult], metric: str
) -> str:
    before = find_measure(unchanged, metric)
    worse = [change for change in changes if change["is_worse"]]
    if before["value"] is None or not worse:
        return "None of these changes makes it surely worse."
    after = {
        change["id"]: find_measure(change["metrics"], metric)["value"] or 0.0 for change in worse
    }
    old_value = before["value"]
    worst = max(worse, key=lambda change: abs(after[change["id"]] - old_value))
    verb = "hurt" if worst["id"] in PLURAL_TITLES else "hurts"
    values = [format_value(before, value) for value in (old_value, after[worst["id"]])]
    return (
        f"{worst['title']} {verb} most: {before['title'].lower()} goes from {values[0]} to"
        f" {values[1]}. Changes that make it surely worse: {len(worse)} of {len(changes)}."
    )
