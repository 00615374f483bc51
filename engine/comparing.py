"""Two models on the same test rows: who is better, by how much, where they disagree. Numpy only.

Rows are matched by their number in one dataset version, or by their content across versions.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.evaluation import Given, Predictions
from engine.evaluation.conclusion import verdict_of
from engine.evaluation.kinds import kind_of
from engine.metrics.counting import tally
from engine.metrics.measures import KNOWN
from engine.metrics.paired import Significance, compare_by
from engine.metrics.resampling import ratio
from engine.metrics.shapes import Answers, Floats, Generations, Ints, LabelSets, Numbers

SHARED_AT_LEAST = 0.9  # Of both models' test rows, when the data's versions differ.
SHOWN_ROWS = 50
SHOWN_CHARACTERS = 1000


class Incomparable(EngineError):
    """The two models were not asked the same; the sentence says what differs."""


def compare(one: Predictions, other: Predictions, *, same_data: bool) -> dict[str, Any]:
    """The comparison as JSON: `difference` is the first less the second. Raises Incomparable."""
    _refuse_other_kinds(one, other)
    places = _matched(one, other, same_data=same_data)
    first, second = _aligned(one, other, places)
    kind = kind_of(first)
    main = kind.compare(first, second)
    return {
        "kind": kind.name,
        "rows": len(places[0]),
        "sentence": _sentence(main),
        "verdict": verdict_of(main, KNOWN[main["metric"]].better),
        "metrics": [
            _side_by_side(found, first, second) for found in (main, *_further(first, second))
        ],
        "per_class": _per_class(first, second, one.rows.label_names),
        **_disagreements(first, second, one, places[0]),
    }


def _refuse_other_kinds(one: Predictions, other: Predictions) -> None:
    if type(one.given) is not type(other.given):
        raise Incomparable("One answers with labels, the other with something else: no comparison.")
    names = set(one.rows.label_names) ^ set(other.rows.label_names)
    if names:
        listed = ", ".join(sorted(names)[:5])
        raise Incomparable(f"The two do not know the same labels; these differ: {listed}.")


def _matched(one: Predictions, other: Predictions, *, same_data: bool) -> tuple[Ints, Ints]:
    """Positions of the same rows in both."""
    left, right = (_names_of(side, same_data=same_data) for side in (one, other))
    where = {name: place for place, name in enumerate(right)}
    pairs = [(place, where[name]) for place, name in enumerate(left) if name in where]
    share = len(pairs) / max(len(left), len(right), 1)
    if share < (1 if same_data else SHARED_AT_LEAST):
        raise Incomparable(
            f"The two were tested on different rows: {len(pairs):,} in common, of {len(left):,} and"
            f" {len(right):,}. What one was tested on the other may have learnt from. Train both"
            " with the same split seed, shares and split column on the same data."
        )
    first, second = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    return first, second


def _names_of(side: Predictions, *, same_data: bool) -> list[Any]:
    """Row numbers; across versions content, the second of equal ones being another row."""
    if same_data:
        return side.rows.source_rows
    seen: Counter[str] = Counter()
    names = []
    for key in side.keys:
        names.append((key, seen[key]))
        seen[key] += 1
    return names


def _aligned(
    one: Predictions, other: Predictions, places: tuple[Ints, Ints]
) -> tuple[Given, Given]:
    """Both answers on the matched rows, in the first one's order of labels."""
    first = kind_of(one.given).take(one.given, places[0])
    second = kind_of(other.given).take(other.given, places[1])
    order = [other.rows.label_names.index(name) for name in one.rows.label_names]
    if isinstance(second, Answers):
        back = np.argsort(order)
        second = Answers(back[second.true], second.probabilities[:, order])
    elif isinstance(second, LabelSets):
        second = LabelSets(
            second.true[:, order], second.probabilities[:, order], second.thresholds[order]
        )
    if not _same_truth(first, second):
        raise Incomparable("The true answers of some shared rows differ between the two versions.")
    return first, second


def _same_truth(first: Given, second: Given) -> bool:
    if isinstance(first, Generations) or isinstance(second, Generations):
        return getattr(first, "references", None) == getattr(second, "references", None)
    return bool(np.array_equal(first.true, second.true))


def _further(first: Given, second: Given) -> list[Significance]:
    """Besides the main metric, tested by paired bootstrap."""
    if isinstance(first, Answers) and isinstance(second, Answers):
        labels, rows = first.probabilities.shape[1], len(first.true)
        true, own, theirs = first.true, first.predicted, second.predicted

        def difference(weights: Floats) -> Floats:
            a, b = (tally(true, said, labels, weights) for said in (own, theirs))
            return a.macro(a.f1) - b.macro(b.f1)

        return [compare_by("macro_f1", rows, difference)]
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        gaps = np.abs(first.errors) - np.abs(second.errors)
        return [compare_by("mae", len(gaps), lambda weights: weights @ gaps / len(gaps))]
    return []


def _side_by_side(found: Significance, first: Given, second: Given) -> dict[str, Any]:
    known = KNOWN[found["metric"]]
    values = [_value(found["metric"], given) for given in (first, second)]
    return {
        "name": found["metric"],
        "title": known.title,
        "share": known.share,
        "better": known.better,
        "first": values[0],
        "second": values[1],
        "significance": found,
        "verdict": verdict_of(found, known.better),
    }


def _value(metric: str, given: Given) -> float | None:
    if isinstance(given, Answers):
        once = tally(given.true, given.predicted, given.probabilities.shape[1], _once(given))
        macro = once.macro(once.f1)[0]
        return float(macro if metric == "macro_f1" else once.hits.sum() / len(given.true))
    if isinstance(given, LabelSets):
        hits = 2 * (given.true & given.predicted).sum()
        both = given.true.sum() + given.predicted.sum()
        return float(hits / both) if both else 0.0
    if isinstance(given, Numbers):
        errors = np.abs(given.errors)
        return float(errors.mean() if metric == "mae" else np.sqrt((errors**2).mean()))
    if metric == "loss" and given.losses is not None and given.tokens is not None:
        return float(given.losses.sum() / given.tokens.sum())
    from engine.metrics.generation import row_scores

    return float(row_scores(given)["rougeL"].mean())


def _once(given: Answers) -> Floats:
    return np.ones((1, len(given.true)))


def _sentence(found: Significance) -> str:
    known, verdict = KNOWN[found["metric"]], verdict_of(found, KNOWN[found["metric"]].better)
    size = abs(found["difference"])
    gap = f"{100 * size:.1f} points" if known.share else f"{size:.3f}"
    title = known.title.lower()
    p_value = "p < 0.001" if found["p_value"] < 0.001 else f"p = {found['p_value']:.2g}"
    if verdict == "no_difference":
        return (
            f"No sure difference: {title} is {gap} apart, which may well be chance ({p_value})."
            " Take the smaller or quicker one."
        )
    which = "first" if verdict == "helped" else "second"
    return f"The {which} is better: {title} by {gap}, hardly by chance ({p_value})."


def _per_class(first: Given, second: Given, names: Sequence[str]) -> list[dict[str, Any]]:
    """F1 of each label in both, the largest change first."""
    if isinstance(first, Answers) and isinstance(second, Answers):
        sides = [
            tally(given.true, given.predicted, len(names), _once(given))
            for given in (first, second)
        ]
        scores = [side.f1[0] for side in sides]
        support = sides[0].support[0]
    elif isinstance(first, LabelSets) and isinstance(second, LabelSets):
        scores = [_set_f1(given) for given in (first, second)]
        support = first.true.sum(axis=0)
    else:
        return []
    listed = [
        {
            "label": name,
            "rows": int(support[place]),
            "first": float(scores[0][place]),
            "second": float(scores[1][place]),
            "difference": float(scores[0][place] - scores[1][place]),
        }
        for place, name in enumerate(names)
    ]
    return sorted(listed, key=lambda one: -abs(float(str(one["difference"]))))


def _set_f1(given: LabelSets) -> Floats:
    hits = (given.true & given.predicted).sum(axis=0).astype(np.float64)
    return ratio(2 * hits, (given.true.sum(axis=0) + given.predicted.sum(axis=0)).astype(float))


def _disagreements(first: Given, second: Given, one: Predictions, places: Ints) -> dict[str, Any]:
    """Rows the two answer differently: counts, and the most telling ones to read."""
    order, counts = _telling(first, second)
    shown_rows = [
        {
            "row": one.rows.source_rows[places[row]],
            "text": one.rows.texts[places[row]][:SHOWN_CHARACTERS],
            **_both(first, second, one.rows.label_names, row),
        }
        for row in order[:SHOWN_ROWS]
    ]
    return {"disagreements": shown_rows, "disagreeing_rows": len(order), "counts": counts}


def _telling(first: Given, second: Given) -> tuple[list[int], dict[str, int]]:
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        gaps = np.abs(first.errors) - np.abs(second.errors)
        return np.argsort(-np.abs(gaps), kind="stable").tolist(), {}
    if isinstance(first, Generations) and isinstance(second, Generations):
        differ = [a != b for a, b in zip(first.outputs, second.outputs, strict=True)]
        return np.flatnonzero(differ).tolist(), {}
    assert isinstance(first, Answers | LabelSets)
    assert isinstance(second, Answers | LabelSets)
    right = [_is_right(given) for given in (first, second)]
    differ = _rows_of(first.predicted != second.predicted)
    counts = {
        "both_right": int((right[0] & right[1]).sum()),
        "only_first_right": int((right[0] & ~right[1]).sum()),
        "only_second_right": int((~right[0] & right[1]).sum()),
        "both_wrong": int((~right[0] & ~right[1]).sum()),
    }
    told = np.flatnonzero(differ)
    # First those that only one has right.
    return told[np.argsort(right[0][told] == right[1][told], kind="stable")].tolist(), counts


def _is_right(given: Answers | LabelSets) -> Any:
    return ~_rows_of(given.predicted != given.true)


def _rows_of(cells: Any) -> Any:
    return cells if cells.ndim == 1 else cells.any(axis=1)


def _both(first: Given, second: Given, names: Sequence[str], row: int) -> dict[str, Any]:
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        sides = first.true, first.predicted, second.predicted
        true, own, theirs = (float(side[row]) for side in sides)
        return {"true": true, "first": own, "second": theirs}
    if isinstance(first, Generations) and isinstance(second, Generations):
        texts = first.references, first.outputs, second.outputs
        return dict(zip(("true", "first", "second"), (t[row] for t in texts), strict=True))
    from engine.evaluation.labels import joined

    def said(values: Any) -> str:
        return names[values[row]] if values.ndim == 1 else joined(list(names), values[row])

    assert isinstance(first, Answers | LabelSets)
    assert isinstance(second, Answers | LabelSets)
    return {
        "true": said(first.true),
        "first": said(first.predicted),
        "second": said(second.predicted),
    }
