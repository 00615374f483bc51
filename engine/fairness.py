"""Are groups of people treated alike? Rates of each group with intervals, and their largest gaps.

Rates come from fairlearn. With several labels each is looked at against all others and the label
with the widest gap is named. A gap measured on few rows is mostly noise: such groups are marked.
"""

from collections.abc import Callable, Sequence
from typing import Any, NotRequired

import numpy as np
from typing_extensions import TypedDict

from engine.metrics.measures import Interval, finite
from engine.metrics.resampling import intervals, percentiles, ratio, row_weights, stratified_weights
from engine.metrics.shapes import Answers, Bools, Floats, Ints, LabelSets, Numbers

SMALL_GROUP = 30
RESAMPLES = 500
RATES = ("selection_rate", "tpr", "fpr", "accuracy")
CLEAR_GAP = 0.1


class Rate(TypedDict):
    value: float | None
    low: float | None
    high: float | None


class Group(TypedDict):
    name: str
    rows: int
    is_small: bool
    rates: dict[str, Rate]


class Gap(TypedDict):
    """The largest difference between two groups, small ones left out where there are others."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    method: str


class Question(TypedDict):
    """One label against the others (None for numbers)."""

    label: str | None
    groups: list[Group]
    gaps: list[Gap]


class Fairness(TypedDict):
    column: str
    sentence: str
    questions: list[Question]  # The widest equalised odds difference first.
    warnings: list[str]
    method: str
    chosen_label: NotRequired[str]


Given = Answers | LabelSets | Numbers


def assess(
    given: Given,
    column: str,
    cells: Sequence[Any],
    label_names: Sequence[str] = (),
    *,
    label: str | None = None,
) -> Fairness:
    """Compare the groups that `cells` (one value per row) divides the test rows into.

    `label` is the outcome that matters; without it the second of two labels, or every label.
    """
    from engine.evaluation.slicing import grouped

    groups = np.asarray(grouped(cells), dtype=object)
    if isinstance(given, Numbers):
        questions = [_about_numbers(given, groups)]
    else:
        asked = _asked_labels(label_names, label, is_set=isinstance(given, LabelSets))
        each = [_about_label(*_sides(given, index), groups, label_names[index]) for index in asked]
        questions = sorted(each, key=lambda one: -(one["gaps"][-1]["value"] or 0))[:10]
    return {
        "column": column,
        "sentence": _sentence(column, questions[0]),
        "questions": questions,
        "warnings": _warnings(questions[0]["groups"]),
        "method": f"rates within groups; 95% percentile bootstrap, {RESAMPLES} resamples,"
        " stratified by group for gaps",
    }


def _asked_labels(names: Sequence[str], label: str | None, *, is_set: bool) -> list[int]:
    if label is not None:
        return [list(names).index(label)]
    if len(names) == 2 and not is_set:
        return [1]
    return list(range(len(names)))


def _sides(given: Answers | LabelSets, label: int) -> tuple[Bools, Bools]:
    if isinstance(given, LabelSets):
        return given.true[:, label], given.predicted[:, label]
    return given.true == label, given.predicted == label


def _about_label(true: Bools, said: Bools, groups: Any, label: str) -> Question:
    import fairlearn.metrics as fair
    from sklearn.metrics import accuracy_score

    functions: dict[str, Callable[..., Any]] = {
        "selection_rate": fair.selection_rate,
        "tpr": fair.true_positive_rate,
        "fpr": fair.false_positive_rate,
        "accuracy": accuracy_score,
    }
    found = []
    for name in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero(groups == name)
        rates = _rates(functions, true[rows], said[rows])
        small = len(rows) < SMALL_GROUP
        found.append(Group(name=name, rows=len(rows), is_small=small, rates=rates))
    found.sort(key=lambda group: -group["rows"])
    return {"label": label, "groups": found, "gaps": _label_gaps(true, said, groups, found)}


def _rates(functions: dict[str, Callable[..., Any]], true: Bools, said: Bools) -> dict[str, Rate]:
    """A rate is None where the group has no row it could be measured on."""
    drawn = intervals(
        row_weights(len(true), 0, RESAMPLES), lambda weights: _weighted_rates(true, said, weights)
    )
    numbers = true.astype(int), said.astype(int)
    is_known = {"tpr": bool(true.any()), "fpr": not true.all()}
    rates = {}
    for name, function in functions.items():
        known = is_known.get(name, True)
        options = {} if name == "accuracy" else {"pos_label": 1}
        rates[name] = _rate(float(function(*numbers, **options)) if known else None, drawn[name])
    return rates


def _rate(value: float | None, interval: Interval) -> Rate:
    low, high = interval if value is not None else (None, None)
    return {"value": finite(value), "low": low, "high": high}


def _weighted_rates(true: Bools, said: Bools, weights: Floats) -> dict[str, Floats]:
    rows, positive = weights.sum(axis=1), weights @ true
    both = weights @ (true & said)
    false = weights @ (~true & said)
    nan = np.full(len(weights), np.nan)
    return {
        "selection_rate": ratio(weights @ said, rows),
        "tpr": np.where(positive > 0, ratio(both, positive), nan),
        "fpr": np.where(rows > positive, ratio(false, rows - positive), nan),
        "accuracy": ratio(weights @ (true == said), rows),
    }


def _compared(found: list[Group]) -> list[str]:
    """The groups whose gaps count: large ones, or all when fewer than two are."""
    large = [group["name"] for group in found if not group["is_small"]]
    return large if len(large) > 1 else [group["name"] for group in found]


def _label_gaps(true: Bools, said: Bools, groups: Any, found: list[Group]) -> list[Gap]:
    names = _compared(found)
    kept = np.flatnonzero(np.isin(groups, names))
    parts = [np.flatnonzero(groups[kept] == name) for name in names]
    inside_true, inside_said = true[kept], said[kept]

    def spreads(weights: Floats) -> dict[str, Floats]:
        rates = [_weighted_rates(inside_true[p], inside_said[p], weights[:, p]) for p in parts]
        wide = {name: _spread(np.array([one[name] for one in rates])) for name in RATES}
        odds = np.fmax(wide["tpr"], wide["fpr"])
        return {**wide, "equalized_odds": odds}

    ranges = _gap_intervals(groups[kept], spreads)
    values = spreads(np.ones((1, len(kept)))) if len(kept) else {}
    values["equalized_odds"] = _odds(inside_true, inside_said, groups[kept], values)
    return [_gap(name, values[name], ranges[name], GAP_METHODS[name]) for name in GAP_METHODS]


GAP_METHODS = {
    "selection_rate": "demographic parity difference: largest less smallest selection rate",
    "tpr": "equal opportunity difference: largest less smallest true positive rate",
    "fpr": "largest less smallest false positive rate",
    "accuracy": "largest less smallest accuracy",
    "equalized_odds": "fairlearn equalized_odds_difference: the wider of the two rate gaps",
}


def _odds(true: Bools, said: Bools, groups: Any, values: dict[str, Floats]) -> Floats:
    """fairlearn's number where every group can be measured; the same formula otherwise."""
    from fairlearn.metrics import equalized_odds_difference

    whole = all(0 < true[groups == name].sum() < (groups == name).sum() for name in set(groups))
    if not whole:
        return values["equalized_odds"]
    numbers = true.astype(int), said.astype(int)
    return np.array([equalized_odds_difference(*numbers, sensitive_features=groups)])


def _spread(rates: Floats) -> Floats:
    """Largest less smallest over groups (groups, samples); NaN groups do not count."""
    known = np.isfinite(rates)
    high = np.where(known, rates, -np.inf).max(axis=0)
    low = np.where(known, rates, np.inf).min(axis=0)
    return np.where(known.sum(axis=0) > 1, high - low, np.nan)


def _gap_intervals(
    groups: Any, formulas: Callable[[Floats], dict[str, Floats]]
) -> dict[str, Interval]:
    codes: Ints = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    drawn: dict[str, list[Floats]] = {}
    for weights in stratified_weights(codes, 0, RESAMPLES):
        for name, values in formulas(weights).items():
            drawn.setdefault(name, []).append(values)
    return {name: percentiles(np.concatenate(values)) for name, values in drawn.items()}


def _gap(name: str, value: Floats, interval: Interval, method: str) -> Gap:
    known = finite(float(value[0]))
    low, high = interval if known is not None else (None, None)
    return {"name": name, "value": known, "low": low, "high": high, "method": method}


def _about_numbers(given: Numbers, groups: Any) -> Question:
    """For numbers: the error of each group, and whether it is guessed too high or too low."""
    found = []
    for name in dict.fromkeys(groups.tolist()):
        errors = given.errors[groups == name]
        drawn = intervals(
            row_weights(len(errors), 0, RESAMPLES),
            lambda weights, errors=errors: {  # type: ignore[misc]
                "mae": weights @ np.abs(errors) / len(errors),
                "bias": weights @ errors / len(errors),
            },
        )
        rates = {
            "mae": _rate(float(np.abs(errors).mean()), drawn["mae"]),
            "bias": _rate(float(errors.mean()), drawn["bias"]),
        }
        small = len(errors) < SMALL_GROUP
        found.append(Group(name=name, rows=len(errors), is_small=small, rates=rates))
    found.sort(key=lambda group: -group["rows"])
    return {"label": None, "groups": found, "gaps": _number_gaps(given, groups, found)}


def _number_gaps(given: Numbers, groups: Any, found: list[Group]) -> list[Gap]:
    names = _compared(found)
    kept = np.flatnonzero(np.isin(groups, names))
    parts = [np.flatnonzero(groups[kept] == name) for name in names]
    errors = given.errors[kept]

    def spreads(weights: Floats) -> dict[str, Floats]:
        rows = [weights[:, part].sum(axis=1) for part in parts]
        bias = [ratio(weights[:, p] @ errors[p], n) for p, n in zip(parts, rows, strict=True)]
        mae = [
            ratio(weights[:, p] @ np.abs(errors[p]), n) for p, n in zip(parts, rows, strict=True)
        ]
        return {"bias": _spread(np.array(bias)), "mae": _spread(np.array(mae))}

    ranges, values = _gap_intervals(groups[kept], spreads), spreads(np.ones((1, len(kept))))
    methods = {
        "bias": "largest less smallest mean error",
        "mae": "largest less smallest mean absolute error",
    }
    return [_gap(name, values[name], ranges[name], methods[name]) for name in methods]


def _warnings(groups: list[Group]) -> list[str]:
    small = [group["name"] for group in groups if group["is_small"]]
    found = []
    if small:
        found.append(
            f"{', '.join(small[:8])}{' …' if len(small) > 8 else ''}: fewer than {SMALL_GROUP} test"
            " rows. Their rates are mostly noise and do not count in the gaps."
        )
    if len(groups) - len(small) < 2:
        found.append("Fewer than two groups are large enough to be compared.")
    return found


def _sentence(column: str, question: Question) -> str:
    """The finding in plain words. Without a clear interval nothing is claimed."""
    gap = question["gaps"][-1]
    if gap["value"] is None or gap["low"] is None:
        return f"The groups of {column} cannot be compared: too few rows of either kind."
    if question["label"] is None:
        return f"By {column}, mean absolute errors differ by up to {gap['value']:.3g}."
    ends = f"{100 * gap['low']:.1f}–{100 * (gap['high'] or 0):.1f}"
    size = f"{100 * gap['value']:.1f} points (95% CI {ends})"
    about = f"for {question['label']!r}, chances of a right or a wrong yes differ by up to {size}"
    if gap["low"] > CLEAR_GAP:
        return f"Groups of {column} are treated differently: {about}."
    if gap["value"] <= CLEAR_GAP and (gap["high"] or 1) <= 2 * CLEAR_GAP:
        return f"No large gap between groups of {column}: {about}."
    large = f"A gap of more than {100 * CLEAR_GAP:.0f} points between groups of {column}"
    return f"{large} is possible but not sure: {about}."
