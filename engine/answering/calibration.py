"""The probability of being right, and the lowest threshold at which a promise is kept."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from engine.answering.held_out import IN_SCOPE, HeldOut
from engine.answering.scoring import Array, Calibrator, Mixture, Ranking, rank

CONFIDENCE = 0.90  # Of the one-sided lower bound.
MIN_IN_SCOPE, MIN_OUT_OF_SCOPE = 100, 20  # Held-out questions; below these no promise is made.
CROSS_FITS = 5
LEAST_PROBABILITY = 0.5  # What is more likely wrong than right is never answered.
ASK_SHARE = 0.6  # Asking back is worth it where the right answer is so often among those offered.
LOWEST_ASK = 0.05
JUDGED_HALF = 200  # Judged live questions that weigh as much as all made from own rows.
MIXTURES = [Mixture(cosine=c, terms=t) for c in (0.0, 2.0, 10.0) for t in (0.0, 4.0, 12.0)]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """Held-out questions with what the calibrator says of each."""

    calibrator: Calibrator
    ranking: Ranking
    probability: Array  # Of each question by a calibrator that did not see it.
    right: Flags
    weights: Array


@dataclass(frozen=True)
class Point:
    """What happens at a threshold: shares of all questions, and of those answered."""

    threshold: float
    answered: float
    answered_in_scope: float
    precision: float
    bound: float
    refused_out_of_scope: float


def calibrate(
    held_out: HeldOut, is_judged: Flags, promise: float, out_of_scope_share: float
) -> Measured:
    """Fit the calibrator and its thresholds. `is_judged`: real questions that people judged."""
    weights = weigh(held_out, is_judged, out_of_scope_share)
    mixture = choose_mixture(held_out, weights)
    ranking = rank(held_out.scores, mixture)
    right = ranking.order[:, 0] == held_out.answers
    mean, scale = ranking.features.mean(axis=0), ranking.features.std(axis=0) + 1e-9
    standard = (ranking.features - mean) / scale
    probability = _cross_fit(standard, right, weights)
    fitted = _fit_logistic(standard, right, weights)
    is_enough = can_promise(held_out)
    answer = find_threshold(probability, right, weights, promise) if is_enough else None
    calibrator = Calibrator(
        mixture=mixture,
        mean=mean.tolist(),
        scale=scale.tolist(),
        weights=fitted[:-1].tolist(),
        bias=float(fitted[-1]),
        answer=answer,
        ask=_find_ask_threshold(held_out, ranking, probability, weights, answer),
    )
    return Measured(calibrator, ranking, probability, right, weights)


def can_promise(held_out: HeldOut) -> bool:
    in_scope = int((held_out.kinds == IN_SCOPE).sum())
    return in_scope >= MIN_IN_SCOPE and len(held_out.kinds) - in_scope >= MIN_OUT_OF_SCOPE


def weigh(held_out: HeldOut, is_judged: Flags, out_of_scope_share: float) -> Array:
    """Weights that sum to the number of questions, those out of scope to their real share.

    Kinds of out-of-scope questions weigh alike, as do judged and own in-scope ones once
    JUDGED_HALF questions are judged: a sample with few out-of-scope rows would promise too much.
    """
    weights = np.zeros(len(held_out.kinds))
    for share, scope in (
        (1 - out_of_scope_share, held_out.kinds == IN_SCOPE),
        (out_of_scope_share, held_out.kinds != IN_SCOPE),
    ):
        own = [scope & ~is_judged & (held_out.kinds == kind) for kind in np.unique(held_out.kinds)]
        own = [rows for rows in own if rows.any()]
        judged = scope & is_judged
        lived = judged.sum() / (judged.sum() + JUDGED_HALF) if own else 1.0
        if judged.any():
            weights[judged] = share * lived / judged.sum()
        for rows in own:
            weights[rows] = share * (1 - lived) / len(own) / rows.sum()
    return np.asarray(weights * len(weights) / max(weights.sum(), 1e-12))


def choose_mixture(held_out: HeldOut, weights: Array) -> Mixture:
    """The mixture that puts the right answer first most often; of equals the first."""
    in_scope = held_out.kinds == IN_SCOPE

    def share_right(mixture: Mixture) -> float:
        first = rank(held_out.scores, mixture).order[in_scope, 0]
        return float((weights[in_scope] * (first == held_out.answers[in_scope])).sum())

    return max(MIXTURES, key=share_right) if in_scope.any() else Mixture()


def lower_bound(right: float, total: float, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson lower bound of a share; counts may be fractions."""
    return 0.0 if right <= 0 else float(beta.ppf(1 - confidence, right, total - right + 1))


def find_threshold(
    probability: Array, right: Flags, weights: Array, promise: float
) -> float | None:
    """The lowest probability from which on the bound of being right reaches the promise."""
    order = np.argsort(-probability, kind="stable")
    sorted_probability = probability[order]
    bounds = _bounds_from_top(right[order], weights[order])
    # Questions of equal probability are answered together or not at all.
    is_last = np.append(np.diff(sorted_probability) != 0, True)
    is_likely = sorted_probability >= LEAST_PROBABILITY
    candidates = np.flatnonzero((bounds >= promise) & is_last & is_likely)
    return float(sorted_probability[candidates[-1]]) if len(candidates) else None


def _bounds_from_top(right: Flags, weights: Array) -> Array:
    """The bound over the first 1, 2, … questions, with Kish's effective number of them."""
    total, total_right = np.cumsum(weights), np.cumsum(weights * right)
    effective = total**2 / np.maximum(np.cumsum(weights**2), 1e-12)
    precision = total_right / np.maximum(total, 1e-12)
    hits = precision * effective
    return np.asarray(np.nan_to_num(beta.ppf(1 - CONFIDENCE, hits, effective - hits + 1)))


def point_at(measured: Measured, held_out: HeldOut, threshold: float | None) -> Point:
    """What the held-out questions say of answering from this probability on."""
    answers = measured.probability >= (2.0 if threshold is None else threshold)
    weights, right = measured.weights, measured.right
    in_scope = held_out.kinds == IN_SCOPE
    total = weights[answers].sum()
    effective = total**2 / max((weights[answers] ** 2).sum(), 1e-12)
    precision = float((weights * right)[answers].sum() / total) if total else 0.0
    return Point(
        threshold=float(threshold) if threshold is not None else 1.0,
        answered=float(total / weights.sum()),
        answered_in_scope=_share(weights, answers, in_scope),
        precision=precision,
        bound=lower_bound(precision * effective, effective),
        refused_out_of_scope=1 - _share(weights, answers, ~in_scope),
    )


def _share(weights: Array, chosen: Flags, among: Flags) -> float:
    total = weights[among].sum()
    return float(weights[chosen & among].sum() / total) if total else 0.0


def _cross_fit(standard: Array, right: Flags, weights: Array) -> Array:
    fold_of = np.random.default_rng(1).permutation(len(right)) % CROSS_FITS
    probability = np.zeros(len(right))
    for fold in range(CROSS_FITS):
        seen = fold_of != fold
        fitted = _fit_logistic(standard[seen], right[seen], weights[seen])
        probability[~seen] = 1 / (1 + np.exp(-(standard[~seen] @ fitted[:-1] + fitted[-1])))
    return probability


def _fit_logistic(standard: Array, right: Flags, weights: Array) -> Array:
    if right.all() or not right.any():  # Nothing to tell apart.
        return np.append(np.zeros(standard.shape[1]), 4.0 if right.all() else -4.0)
    fitted = LogisticRegression(C=1.0, max_iter=500).fit(standard, right, sample_weight=weights)
    return np.append(fitted.coef_[0], fitted.intercept_[0])


def _find_ask_threshold(
    held_out: HeldOut, ranking: Ranking, probability: Array, weights: Array, answer: float | None
) -> float:
    """From which probability on the right answer is among those offered in ASK_SHARE of cases."""
    offered = (ranking.order == held_out.answers[:, None]).any(axis=1)
    below = probability < (2.0 if answer is None else answer)
    order = np.argsort(-probability[below], kind="stable")
    total = np.cumsum(weights[below][order])
    hits = np.cumsum((weights * offered)[below][order]) / np.maximum(total, 1e-12)
    reached = np.flatnonzero(hits >= ASK_SHARE)
    if not len(reached):
        return 1.0 if answer is None else answer
    return max(LOWEST_ASK, float(probability[below][order][reached[-1]]))
