"""Metrics of generated texts: loss and perplexity of the references, similarity to them."""

import math
import re
from functools import partial
from typing import Any

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Interval, Measure, PointEstimate, make_measure
from engine.metrics.resampling import (
    BOOTSTRAP_METHOD,
    bootstrap_intervals,
    bootstrap_weights,
    safe_divide,
)
from engine.metrics.shapes import Floats, GenerationPredictions

ROUGE = ("rouge1", "rouge2", "rougeL")
CORPUS_RESAMPLES = 300
CORPUS_INTERVAL_METHOD = f"95% percentile bootstrap over rows, {CORPUS_RESAMPLES} resamples"
# Chinese and Japanese letter by letter, any other script by words.
WORD_PATTERN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u4e00-\u9fff]+")
NO_LOSS_NOTE = "not known: this model does not give probabilities"


def measure(predictions: GenerationPredictions, seed: int = 0) -> list[Measure]:
    """All metrics, each with its interval, method, library and, for BLEU and chrF, signature."""
    rows = row_scores(predictions)
    means = {name: rows[name] for name in (*ROUGE, "exact_match")}
    weights = bootstrap_weights(len(predictions.outputs), seed)
    ranges = bootstrap_intervals(weights, partial(_resampled_metrics, predictions, means))
    measures = [
        make_measure(name, point, ranges.get(name, NO_INTERVAL), BOOTSTRAP_METHOD)
        for name, point in (_loss_points(predictions) | _text_points(predictions, means)).items()
    ]
    return [*measures, *(_measure_corpus(name, predictions, seed) for name in ("bleu", "chrf"))]


def _loss_points(predictions: GenerationPredictions) -> dict[str, PointEstimate]:
    method = "summed negative log-likelihood of the answers' tokens over their number"
    if predictions.losses is None or predictions.tokens is None or not predictions.tokens.sum():
        return {
            name: PointEstimate(None, method, "torch", note=NO_LOSS_NOTE)
            for name in ("loss", "perplexity")
        }
    loss = float(predictions.losses.sum() / predictions.tokens.sum())
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {
        "loss": PointEstimate(loss, method, "torch"),
        "perplexity": PointEstimate(perplexity, "exp of the loss of a token", "numpy"),
    }


def row_scores(predictions: GenerationPredictions) -> dict[str, Floats]:
    """ROUGE F-measures and exact match of every row."""
    from rouge_score.rouge_scorer import RougeScorer

    tokenizer = None if _is_ascii(predictions) else _UnicodeTokenizer()
    scorer = RougeScorer(list(ROUGE), use_stemmer=False, tokenizer=tokenizer)
    pairs = list(zip(predictions.references, predictions.outputs, strict=True))
    scored = [scorer.score(reference, output) for reference, output in pairs]
    rows = {name: np.array([scores[name].fmeasure for scores in scored]) for name in ROUGE}
    exact = [reference.strip() == output.strip() for reference, output in pairs]
    return rows | {"exact_match": np.array(exact, dtype=np.float64)}


class _UnicodeTokenizer:
    """For texts beyond ASCII: rouge-score's own tokenizer keeps only a-z and 0-9."""

    def tokenize(self, text: str) -> list[str]:
        return WORD_PATTERN.findall(text.lower())


def _is_ascii(predictions: GenerationPredictions) -> bool:
    return all(text.isascii() for text in predictions.references)


def _text_points(
    predictions: GenerationPredictions, means: dict[str, Floats]
) -> dict[str, PointEstimate]:
    tokenizer = "default tokenizer" if _is_ascii(predictions) else "words of all scripts"
    points = {}
    for name in ROUGE:
        method = f"mean F-measure of {name}, no stemmer, {tokenizer}"
        points[name] = PointEstimate(float(means[name].mean()), method, "rouge-score")
    exact = float(means["exact_match"].mean())
    method = "equal texts, outer blanks ignored"
    return points | {"exact_match": PointEstimate(exact, method, "numpy")}


def _resampled_metrics(
    predictions: GenerationPredictions, means: dict[str, Floats], weights: Floats
) -> dict[str, Floats]:
    values = {name: weights @ scores / len(scores) for name, scores in means.items()}
    if predictions.losses is not None and predictions.tokens is not None:
        loss = safe_divide(weights @ predictions.losses, weights @ predictions.tokens)
        values |= {"loss": loss, "perplexity": np.exp(np.minimum(loss, 700))}
    return values


def _measure_corpus(name: str, predictions: GenerationPredictions, seed: int) -> Measure:
    """A sacreBLEU metric over all rows; its interval resamples sacreBLEU's sentence statistics."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # As sacreBLEU advises for Chinese and Japanese, which have no spaces between words.
    sample = "".join(predictions.references[:200])
    spaceless = sum("\u3040" <= letter <= "\u9fff" for letter in sample)
    tokenizer = "zh" if spaceless > len(sample) / 4 else "13a"
    metric: Any = BLEU(tokenize=tokenizer) if name == "bleu" else CHRF()
    score = metric.corpus_score(predictions.outputs, [predictions.references]).score
    method = f"corpus_score, signature {metric.get_signature()}"
    point = PointEstimate(score, method, "sacrebleu")
    return make_measure(
        name, point, _corpus_interval(metric, predictions, seed), CORPUS_INTERVAL_METHOD
    )


def _corpus_interval(metric: Any, predictions: GenerationPredictions, seed: int) -> Interval:
    # sacreBLEU's own bootstrap gives only a symmetric half-width; its statistics are additive.
    statistics = np.array(
        metric._extract_corpus_statistics(predictions.outputs, [predictions.references]),
        dtype=np.float64,
    )

    def formulas(weights: Floats) -> dict[str, Floats]:
        sums = (weights @ statistics).astype(np.int64)
        return {
            "score": np.array([metric._compute_score_from_stats(s).score for s in sums.tolist()])
        }

    weights = bootstrap_weights(len(predictions.outputs), seed, CORPUS_RESAMPLES)
    return bootstrap_intervals(weights, formulas)["score"]
