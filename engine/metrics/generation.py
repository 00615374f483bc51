"""Metrics of generated texts: loss and perplexity of the references, and closeness to them."""

import math
import re
from functools import partial
from typing import Any

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Interval, Measure, Point, measured
from engine.metrics.resampling import HOW, intervals, ratio, row_weights
from engine.metrics.shapes import Floats, Generations

ROUGE = ("rouge1", "rouge2", "rougeL")
CORPUS_RESAMPLES = 300
HOW_CORPUS = f"95% percentile bootstrap over rows, {CORPUS_RESAMPLES} resamples"
# Chinese and Japanese letter by letter, any other script by words.
WORDS = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u4e00-\u9fff]+")
NO_LOSS = "not known: this model does not give probabilities"


def measure(given: Generations, seed: int = 0) -> list[Measure]:
    """All metrics, each with its interval, method, library and, for BLEU and chrF, signature."""
    rows = row_scores(given)
    means = {name: rows[name] for name in (*ROUGE, "exact_match")}
    weights = row_weights(len(given.outputs), seed)
    ranges = intervals(weights, partial(_resampled, given, means))
    found = [
        measured(name, point, ranges.get(name, NO_INTERVAL), HOW)
        for name, point in (_loss_points(given) | _row_points(given, means)).items()
    ]
    return [*found, *(_corpus(name, given, seed) for name in ("bleu", "chrf"))]


def _loss_points(given: Generations) -> dict[str, Point]:
    method = "summed negative log-likelihood of the answers' tokens over their number"
    if given.losses is None or given.tokens is None or not given.tokens.sum():
        return {name: Point(None, method, "torch", note=NO_LOSS) for name in ("loss", "perplexity")}
    loss = float(given.losses.sum() / given.tokens.sum())
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {
        "loss": Point(loss, method, "torch"),
        "perplexity": Point(perplexity, "exp of the loss of a token", "numpy"),
    }


def row_scores(given: Generations) -> dict[str, Floats]:
    """ROUGE F-measures and exact match of every row."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), use_stemmer=False, tokenizer=_tokenizer_for(given))
    pairs = list(zip(given.references, given.outputs, strict=True))
    scored = [scorer.score(reference, output) for reference, output in pairs]
    rows = {name: np.array([one[name].fmeasure for one in scored]) for name in ROUGE}
    exact = [reference.strip() == output.strip() for reference, output in pairs]
    return rows | {"exact_match": np.array(exact, dtype=np.float64)}


class _AllScripts:
    """rouge-score's own tokenizer keeps only a-z and 0-9 and would empty every other script."""

    def tokenize(self, text: str) -> list[str]:
        return WORDS.findall(text.lower())


def _tokenizer_for(given: Generations) -> Any:
    """None takes rouge-score's default."""
    return None if _is_plain(given) else _AllScripts()


def _is_plain(given: Generations) -> bool:
    return all(text.isascii() for text in given.references)


def _row_points(given: Generations, means: dict[str, Floats]) -> dict[str, Point]:
    words = "default tokenizer" if _is_plain(given) else "words of all scripts"
    how = f"no stemmer, {words}"
    points = {
        name: Point(float(values.mean()), f"mean F-measure of {name}, {how}", "rouge-score")
        for name, values in means.items()
        if name in ROUGE
    }
    exact = float(means["exact_match"].mean())
    method = "equal texts, outer blanks ignored"
    return points | {"exact_match": Point(exact, method, "numpy")}


def _resampled(given: Generations, means: dict[str, Floats], weights: Floats) -> dict[str, Floats]:
    values = {name: weights @ scores / len(scores) for name, scores in means.items()}
    if given.losses is not None and given.tokens is not None:
        loss = ratio(weights @ given.losses, weights @ given.tokens)
        values |= {"loss": loss, "perplexity": np.exp(np.minimum(loss, 700))}
    return values


def _corpus(name: str, given: Generations, seed: int) -> Measure:
    """A sacreBLEU metric over all rows; resampled from its sentence statistics."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    metric: Any = BLEU(tokenize=_tokenize(given)) if name == "bleu" else CHRF()
    score = metric.corpus_score(given.outputs, [given.references]).score
    method = f"corpus_score, signature {metric.get_signature()}"
    point = Point(score, method, "sacrebleu")
    return measured(name, point, _corpus_interval(metric, given, seed), HOW_CORPUS)


def _tokenize(given: Generations) -> str:
    """sacreBLEU's advice: Chinese and Japanese have no spaces to split at."""
    sample = "".join(given.references[:200])
    spaceless = sum("\u3040" <= letter <= "\u9fff" for letter in sample)
    return "zh" if spaceless > len(sample) / 4 else "13a"


def _corpus_interval(metric: Any, given: Generations, seed: int) -> Interval:
    # sacreBLEU's own bootstrap gives only a symmetric half-width; its statistics are additive.
    statistics = np.array(
        metric._extract_corpus_statistics(given.outputs, [given.references]), dtype=np.float64
    )

    def formulas(weights: Floats) -> dict[str, Floats]:
        sums = (weights @ statistics).astype(np.int64)
        return {
            "score": np.array([metric._compute_score_from_stats(s).score for s in sums.tolist()])
        }

    weights = row_weights(len(given.outputs), seed, CORPUS_RESAMPLES)
    return intervals(weights, formulas)["score"]
