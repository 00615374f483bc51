"""Compares groups of rows for fairness: rates of each group with intervals, and the largest gaps.

Rates are fairlearn's. Of several labels, each is compared with all others and the one with the
widest gap comes first. A gap measured on few rows is mostly noise: small groups are marked.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.evaluation.grouping import assign_groups
from engine.evaluation.schema import (
    FairnessGap,
    FairnessReport,
    GroupRates,
    LabelFairness,
    RateEstimate,
)
from engine.metrics.measures import Interval, finite_or_none
from engine.metrics.resampling import (
    bootstrap_intervals,
    bootstrap_weights,
    safe_divide,
    stratified_bootstrap_weights,
)
from engine.metrics.shapes import (
    Bools,
    Floats,
    Ints,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
)

SMALL_GROUP_ROWS = 30
RESAMPLES = 500
RATE_NAMES = ("selection_rate", "tpr", "fpr", "accuracy")
CLEAR_GAP_SIZE = 0.1


Names = npt.NDArray[np.object_]  # The group of each row.
AssessablePredictions = MulticlassPredictions | MultilabelPredictions | RegressionPredictions


def assess_fairness(
    predictions: AssessablePredictions,
    column: str,
    cells: Sequence[Any],
    label_names: Sequence[str] = (),
    *,
    label: str | None = None,
) -> FairnessReport:
    """Compare the groups into which `cells`, one value for each row, divide the test rows.

    `label` is the outcome that matters; without it the second of two labels, or every label.
    """
    groups = np.asarray(assign_groups(cells), dtype=object)
    if isinstance(predictions, RegressionPredictions):
        questions = [_assess_regression(predictions, groups)]
    else:
        labels = list(range(len(label_names)))
        if label is not None:
            labels = [list(label_names).index(label)]
        elif len(label_names) == 2 and not isinstance(predictions, MultilabelPredictions):
            labels = [1]
        assessed = [
            _assess_label(*_one_vs_rest(predictions, index), groups, label_names[index])
            for index in labels
        ]
        questions = sorted(assessed, key=lambda entry: -(entry["gaps"][-1]["value"] or 0))[:10]
    return {
        "column": column,
        "sentence": _format_sentence(column, questions[0]),
        "questions": questions,
        "warnings": _small_group_warnings(questions[0]["groups"]),
        "method": f"rates within groups; 95% percentile bootstrap, {RESAMPLES} resamples,"
        " stratified by group for gaps",
    }


def _one_vs_rest(
    predictions: MulticlassPredictions | MultilabelPredictions, label: int
) -> tuple[Bools, Bools]:
    if isinstance(predictions, MultilabelPredictions):
        return predictions.true[:, label], predictions.predicted[:, label]
    return predictions.true == label, predictions.predicted == label


def _assess_label(true: Bools, predicted: Bools, groups: Names, label: str) -> LabelFairness:
    import fairlearn.metrics as fair
    from sklearn.metrics import accuracy_score

    functions: dict[str, Callable[..., Any]] = {
        "selection_rate": fair.selection_rate,
        "tpr": fair.true_positive_rate,
        "fpr": fair.false_positive_rate,
        "accuracy": accuracy_score,
    }
    rated = []
    for name in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero(groups == name)
        rates = _compute_rates(functions, true[rows], predicted[rows])
        is_small = len(rows) < SMALL_GROUP_ROWS
        rated.append(GroupRates(name=name, rows=len(rows), is_small=is_small, rates=rates))
    rated.sort(key=lambda group: -group["rows"])
    gaps = _compute_label_gaps(true, predicted, groups, rated)
    return {"label": label, "groups": rated, "gaps": gaps}


def _compute_rates(
    functions: dict[str, Callable[..., Any]], true: Bools, predicted: Bools
) -> dict[str, RateEstimate]:
    """A rate is None where the group has no row it could be measured on."""
    drawn = bootstrap_intervals(
        bootstrap_weights(len(true), 0, RESAMPLES),
        lambda weights: _weighted_rates(true, predicted, weights),
    )
    numbers = true.astype(int), predicted.astype(int)
    is_known = {"tpr": bool(true.any()), "fpr": not true.all()}
    rates = {}
    for name, function in functions.items():
        known = is_known.get(name, True)
        options = {} if name == "accuracy" else {"pos_label": 1}
        rates[name] = _make_rate(
            float(function(*numbers, **options)) if known else None, drawn[name]
        )
    return rates


def _make_rate(value: float | None, interval: Interval) -> RateEstimate:
    low, high = interval if value is not None else (None, None)
    return {"value": finite_or_none(value), "low": low, "high": high}


def _weighted_rates(true: Bools, predicted: Bools, weights: Floats) -> dict[str, Floats]:
    rows, positives = weights.sum(axis=1), weights @ true
    true_positives = weights @ (true & predicted)
    false_positives = weights @ (~true & predicted)
    negatives = rows - positives
    return {
        "selection_rate": safe_divide(weights @ predicted, rows),
        "tpr": np.where(positives > 0, safe_divide(true_positives, positives), np.nan),
        "fpr": np.where(negatives > 0, safe_divide(false_positives, negatives), np.nan),
        "accuracy": safe_divide(weights @ (true == predicted), rows),
    }


def _rows_of_comparable_groups(groups: Names, rated: list[GroupRates]) -> tuple[Ints, list[Ints]]:
    """The rows of the groups whose gaps count, and where in them each group's are. Small groups do
    not count, unless fewer than two are large."""
    large = [group["name"] for group in rated if not group["is_small"]]
    names = large if len(large) > 1 else [group["name"] for group in rated]
    rows = np.flatnonzero(np.isin(groups, names))
    return rows, [np.flatnonzero(groups[rows] == name) for name in names]


def _compute_label_gaps(
    true: Bools, predicted: Bools, groups: Names, rated: list[GroupRates]
) -> list[FairnessGap]:
    rows, parts = _rows_of_comparable_groups(groups, rated)
    true, predicted = true[rows], predicted[rows]

    def gaps(weights: Floats) -> dict[str, Floats]:
        rates = [_weighted_rates(true[part], predicted[part], weights[:, part]) for part in parts]
        widest = {
            name: _max_rate_difference(np.array([group[name] for group in rates]))
            for name in RATE_NAMES
        }
        return {**widest, "equalized_odds": np.fmax(widest["tpr"], widest["fpr"])}

    ranges = _gap_intervals(groups[rows], gaps)
    values = gaps(np.ones((1, len(rows)))) if len(rows) else {}
    values["equalized_odds"] = _equalized_odds(true, predicted, groups[rows], values)
    return [_make_gap(name, values[name], ranges[name], GAP_METHODS[name]) for name in GAP_METHODS]


GAP_METHODS = {
    "selection_rate": "demographic parity difference: largest less smallest selection rate",
    "tpr": "equal opportunity difference: largest less smallest true positive rate",
    "fpr": "largest less smallest false positive rate",
    "accuracy": "largest less smallest accuracy",
    "equalized_odds": "fairlearn equalized_odds_difference: the wider of the two rate gaps",
}


def _equalized_odds(
    true: Bools, predicted: Bools, groups: Names, values: dict[str, Floats]
) -> Floats:
    """fairlearn's number where every group can be measured; the same formula otherwise."""
    from fairlearn.metrics import equalized_odds_difference

    is_defined = all(
        0 < true[groups == name].sum() < (groups == name).sum() for name in set(groups)
    )
    if not is_defined:
        return values["equalized_odds"]
    numbers = true.astype(int), predicted.astype(int)
    return np.array([equalized_odds_difference(*numbers, sensitive_features=groups)])


def _max_rate_difference(rates: Floats) -> Floats:
    """Largest less smallest over groups (groups, samples); NaN groups do not count."""
    known = np.isfinite(rates)
    high = np.where(known, rates, -np.inf).max(axis=0)
    low = np.where(known, rates, np.inf).min(axis=0)
    return np.where(known.sum(axis=0) > 1, high - low, np.nan)


def _gap_intervals(
    groups: Names, formulas: Callable[[Floats], dict[str, Floats]]
) -> dict[str, Interval]:
    strata: Ints = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return bootstrap_intervals(stratified_bootstrap_weights(strata, 0, RESAMPLES), formulas)


def _make_gap(name: str, value: Floats, interval: Interval, method: str) -> FairnessGap:
    known = finite_or_none(float(value[0]))
    low, high = interval if known is not None else (None, None)
    return {"name": name, "value": known, "low": low, "high": high, "method": method}


def _assess_regression(predictions: RegressionPredictions, groups: Names) -> LabelFairness:
    """For numbers: each group's error, and whether its predictions are too high or too low."""
    rated = []
    for name in dict.fromkeys(groups.tolist()):
        errors = predictions.errors[groups == name]
        drawn = bootstrap_intervals(
            bootstrap_weights(len(errors), 0, RESAMPLES),
            lambda weights, errors=errors: {  # type: ignore[misc]
                "mae": weights @ np.abs(errors) / len(errors),
                "bias": weights @ errors / len(errors),
            },
        )
        rates = {
            "mae": _make_rate(float(np.abs(errors).mean()), drawn["mae"]),
            "bias": _make_rate(float(errors.mean()), drawn["bias"]),
        }
        is_small = len(errors) < SMALL_GROUP_ROWS
        rated.append(GroupRates(name=name, rows=len(errors), is_small=is_small, rates=rates))
    rated.sort(key=lambda group: -group["rows"])
    return {
        "label": None,
        "groups": rated,
        "gaps": _compute_regression_gaps(predictions, groups, rated),
    }


def _compute_regression_gaps(
    predictions: RegressionPredictions, groups: Names, rated: list[GroupRates]
) -> list[FairnessGap]:
    kept, parts = _rows_of_comparable_groups(groups, rated)
    errors = predictions.errors[kept]

    def gaps(weights: Floats) -> dict[str, Floats]:
        bias, mae = [], []
        for part in parts:
            own, rows = weights[:, part], weights[:, part].sum(axis=1)
            bias.append(safe_divide(own @ errors[part], rows))
            mae.append(safe_divide(own @ np.abs(errors[part]), rows))
        return {
            "bias": _max_rate_difference(np.array(bias)),
            "mae": _max_rate_difference(np.array(mae)),
        }

    ranges, values = _gap_intervals(groups[kept], gaps), gaps(np.ones((1, len(kept))))
    methods = {
        "bias": "largest less smallest mean error",
        "mae": "largest less smallest mean absolute error",
    }
    return [_make_gap(name, values[name], ranges[name], methods[name]) for name in methods]


def _small_group_warnings(groups: list[GroupRates]) -> list[str]:
    small = [group["name"] for group in groups if group["is_small"]]
    warnings = []
    if small:
        listed = ", ".join(small[:8]) + (" …" if len(small) > 8 else "")
        warnings.append(
            f"{listed}: fewer than {SMALL_GROUP_ROWS} test rows. Their rates are mostly noise and"
            " do not count in the gaps."
        )
    if len(groups) - len(small) < 2:
        warnings.append("Fewer than two groups are large enough to be compared.")
    return warnings


def _format_sentence(column: str, question: LabelFairness) -> str:
    """The result as a sentence. Without a clear interval nothing is claimed."""
    gap = question["gaps"][-1]
    if gap["value"] is None or gap["low"] is None:
        return f"The groups of {column} cannot be compared: too few rows of either kind."
    if question["label"] is None:
        return f"By {column}, mean absolute errors differ by up to {gap['value']:.3g}."
    ends = f"{100 * gap['low']:.1f}–{100 * (gap['high'] or 0):.1f}"
    size = f"{100 * gap['value']:.1f} points (95% CI {ends})"
    about = f"for {question['label']!r}, chances of a right or a wrong yes differ by up to {size}"
    if gap["low"] > CLEAR_GAP_SIZE:
        return f"Groups of {column} are treated differently: {about}."
    if gap["value"] <= CLEAR_GAP_SIZE and (gap["high"] or 1) <= 2 * CLEAR_GAP_SIZE:
        return f"No large gap between groups of {column}: {about}."
    large = f"A gap of more than {100 * CLEAR_GAP_SIZE:.0f} points between groups of {column}"
    return f"{large} is possible but not sure: {about}."
