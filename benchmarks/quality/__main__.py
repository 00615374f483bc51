"""How good the defaults are: a job's model beside baselines and rivals, on rows that none saw.

    python -m benchmarks.quality [--seeds 5] [--sets wine breast-cancer …] [--method auto]
        [--rivals setfit autogluon]

Each set is divided anew for each seed: 75 % of the rows go to the engine as a customer's file
would, with default settings, and to scikit-learn's own defaults; 25 % stay apart and are answered
by the served artifact. Better, tie or worse is by the paired bootstrap interval of the difference
in the set's metric (accuracy, balanced accuracy where the rarest class has less than 20 %, or R²).
`claim` is the interval that the job's own report gave for that metric; it holds where it and the
95 % interval of the figure on the rows apart have something in common.

Rivals get the same rows and, to train, as many seconds as our whole job took, from the start of its
process to a tested and exported model; their imports and answers are not counted. AutoGluon-tabular
(tables) runs its preset medium_quality and is told the metric; SetFit (texts) starts from the base
model that our job starts from. Each is installed into an environment of its own below var/.

Data: benchmarks.quality.sets. Runs for minutes to hours: one process after another, on all cores.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from benchmarks.environments import AUTOGLUON, PROJECT, SETFIT, locate_python, run_checked
from benchmarks.quality.sets import DataSet, Values, list_sets
from engine import catalog, serving
from engine.tasks.text import base_models

RESAMPLES = 1000
RARE_SHARE = 0.2
PIXELS = 32  # Of a side, for the baselines of pictures.
# What tasks begin with that each can do, and its packages.
RIVALS = {"setfit": ("text-classification", SETFIT), "autogluon": ("tabular", AUTOGLUON)}
Fit = Callable[[DataSet, Values, Values], Values]
Score = Callable[[Values, Values], float]


def main() -> None:
    options = _parse_options()
    results = []
    for data in list_sets():
        if options.sets and data.name not in options.sets:
            continue
        for seed in range(options.seeds):
            results.append(_run(data, seed, options))
            print(_format(results[-1]), flush=True)
    _print_totals(results)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--method", default="auto")
    parser.add_argument("--rivals", nargs="*", choices=sorted(RIVALS), default=[])
    return parser.parse_args()


@dataclass(frozen=True)
class Comparison:
    """Of our metric with another's: theirs, and what the paired interval says of ours."""

    value: float
    verdict: str  # "better", "tie" or "worse".


@dataclass(frozen=True)
class Outcome:
    set_name: str
    seed: int
    metric: str
    own: float
    baselines: dict[str, Comparison]
    rivals: dict[str, Comparison]
    low: float
    high: float
    claim_holds: bool | None  # None where the report gives no interval of this metric.
    seconds: float

    @property
    def verdict(self) -> str:
        """Against the best baseline."""
        return max(self.baselines.values(), key=lambda one: one.value).verdict


def _run(data: DataSet, seed: int, options: argparse.Namespace) -> Outcome:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.columns[data.target]))
    known, apart = order[: int(0.75 * len(order))], order[int(0.75 * len(order)) :]
    truth = np.array(data.truth or data.columns[data.target], dtype=object)[apart]
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report, answers = _train_and_answer(data, known, apart, Path(folder), options.method)
    seconds = time.monotonic() - started_at
    name, score = _choose_metric(data, truth)

    def compare(predicted: Values) -> Comparison:
        low, high = _paired_interval(score, truth, answers, predicted, rng)
        verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
        return Comparison(score(truth, predicted), verdict)

    baselines = {one: compare(fit(data, known, apart)) for one, fit in _baselines(data).items()}
    rivals = {
        one: compare(_run_rival(one, data, known, apart, name, seconds))
        for one in options.rivals
        if data.task.startswith(RIVALS[one][0])
    }
    claim = next((one for one in report["metrics"] if one["name"] == name), None)
    holds = claim and claim["low"] is not None and _claim_holds(score, truth, answers, claim, rng)
    return Outcome(
        data.name, seed, name, score(truth, answers), baselines, rivals,
        claim["low"] if claim and claim["low"] is not None else np.nan,
        claim["high"] if claim and claim["high"] is not None else np.nan,
        holds, seconds,
    )  # fmt: skip


def _train_and_answer(
    data: DataSet, known: Values, apart: Values, folder: Path, method: str
) -> tuple[dict[str, Any], Values]:
    pq.write_table(pa.table(data.take(known)), folder / "data.parquet")
    columns: dict[str, Any] = {"feature_columns": data.inputs}
    if data.task.startswith("text"):
        columns = {"text_columns": data.inputs}
    elif data.task.startswith("image"):
        columns = {"image_column": data.inputs[0]}
    spec = {
        "task": data.task,
        "data": str(folder / "data.parquet"),
        "target_column": data.target,
        "output": str(folder / "artifact"),
        "work": str(folder / "work"),
        "hyperparameters": {"method": method},
        **columns,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "engine", "train", str(folder / "spec.json")]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    model = serving.load_model(folder / "artifact")
    answers = [dict(one) for one in model.answer(_to_requests(data, apart))]
    key = "value" if data.task.endswith("regression") else "label"
    report = json.loads((folder / "artifact/report.json").read_text())
    return report, np.array([answer[key] for answer in answers], dtype=object)


def _to_requests(data: DataSet, rows: Values) -> list[Any]:
    """The rows as a client asks for them: a text, a picture's bytes, or values by name."""
    taken = data.take(rows)
    if data.task.startswith("tabular"):
        return [{name: taken[name][row] for name in data.inputs} for row in range(len(rows))]
    return list(taken[data.inputs[0]])


def _run_rival(
    name: str, data: DataSet, known: Values, apart: Values, metric: str, seconds: float
) -> Values:
    """What the rival answers to the rows apart after that many seconds of training."""
    start = catalog.base_models_for_task("text-classification")[0]
    with tempfile.TemporaryDirectory() as folder:
        for part, rows in (("train", known), ("test", apart)):
            pq.write_table(pa.table(data.take(rows)), Path(folder) / f"{part}.parquet")
        request = {
            "folder": folder,
            "target": data.target,
            "metric": metric,
            "seconds": seconds,
            "base_model": str(base_models.locate_base_model(start)),
        }
        path = Path(folder) / "request.json"
        path.write_text(json.dumps(request))
        python = locate_python(name, RIVALS[name][1])
        run_checked([python, "-m", "benchmarks.quality.rivals", name, str(path)])
        return np.array(json.loads((Path(folder) / "answers.json").read_text()), dtype=object)


def _choose_metric(data: DataSet, truth: Values) -> tuple[str, Score]:
    if data.task.endswith("regression"):
        return "r2", lambda true, answers: float(
            r2_score(true.astype(float), answers.astype(float))
        )
    _, counts = np.unique(truth.astype(str), return_counts=True)
    rare = counts.min() / counts.sum() < RARE_SHARE and len(counts) <= 3
    score = balanced_accuracy_score if rare else accuracy_score
    name = "balanced_accuracy" if rare else "accuracy"
    return name, lambda true, answers: float(score(true.astype(str), answers.astype(str)))


def _baselines(data: DataSet) -> dict[str, Fit]:
    if data.task.startswith("image"):
        return {
            "pixels, linear": _pixels(LogisticRegression(max_iter=1000)),
            "pixels, forest": _pixels(RandomForestClassifier(random_state=0)),
        }
    if data.task.startswith("text"):
        return {
            "TF-IDF words": _tfidf("word", (1, 2)),
            "TF-IDF characters": _tfidf("char_wb", (2, 5)),
        }
    return {"linear": _linear, "boosted trees": _boosted}


def _tfidf(analyzer: str, lengths: tuple[int, int]) -> Fit:
    def fit(data: DataSet, known: Values, apart: Values) -> Values:
        vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, sublinear_tf=True)
        model = make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=300))
        texts = np.array(data.columns[data.inputs[0]], dtype=object).astype(str)
        labels = np.array(data.columns[data.target], dtype=object).astype(str)
        return np.asarray(model.fit(texts[known], labels[known]).predict(texts[apart]))

    return fit


def _pixels(model: Any) -> Fit:
    def fit(data: DataSet, known: Values, apart: Values) -> Values:
        pixels = np.array([_read_pixels(content) for content in data.columns[data.inputs[0]]])
        labels = np.array(data.columns[data.target], dtype=object).astype(str)
        fitted = make_pipeline(StandardScaler(), model).fit(pixels[known], labels[known])
        return np.asarray(fitted.predict(pixels[apart]))

    return fit


def _read_pixels(content: bytes) -> Values:
    picture = Image.open(io.BytesIO(content)).convert("RGB").resize((PIXELS, PIXELS))
    return np.asarray(picture, dtype=float).ravel()


def _linear(data: DataSet, known: Values, apart: Values) -> Values:
    model = Ridge() if data.task.endswith("regression") else LogisticRegression(max_iter=1000)
    return _fit_table(make_pipeline(_encoder(data), StandardScaler(), model), data, known, apart)


def _boosted(data: DataSet, known: Values, apart: Values) -> Values:
    is_number = data.task.endswith("regression")
    kind = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
    return _fit_table(make_pipeline(_encoder(data), kind(random_state=0)), data, known, apart)


def _encoder(data: DataSet) -> ColumnTransformer:
    words = [
        place
        for place, name in enumerate(data.inputs)
        if any(isinstance(cell, str) for cell in data.columns[name])
    ]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("words", encoder, words)], remainder="passthrough")


def _fit_table(model: Any, data: DataSet, known: Values, apart: Values) -> Values:
    table = np.array([data.columns[name] for name in data.inputs], dtype=object).T
    target = np.array(data.columns[data.target], dtype=object)
    kind = float if data.task.endswith("regression") else str
    return np.asarray(model.fit(table[known], target[known].astype(kind)).predict(table[apart]))


def _paired_interval(
    score: Score,
    truth: Values,
    own: Values,
    other: Values,
    rng: np.random.Generator,
) -> tuple[float, float]:
    differences = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(truth), size=len(truth))
        differences.append(score(truth[rows], own[rows]) - score(truth[rows], other[rows]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def _claim_holds(
    score: Score,
    truth: Values,
    answers: Values,
    claim: dict[str, Any],
    rng: np.random.Generator,
) -> bool:
    """Whether the report's interval and the figure on the rows apart agree within its own error."""
    values = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(truth), size=len(truth))
        values.append(score(truth[rows], answers[rows]))
    low, high = np.percentile(values, [2.5, 97.5])
    return bool(claim["low"] <= high and low <= claim["high"])


def _format(outcome: Outcome) -> str:
    others = (outcome.baselines | outcome.rivals).items()
    compared = ", ".join(f"{name} {one.value:.3f} {one.verdict}" for name, one in others)
    claim = {True: "holds", False: "fails", None: "none"}[outcome.claim_holds]
    return (
        f"{outcome.set_name:16} seed {outcome.seed}  {outcome.metric} {outcome.own:.3f}"
        f" ({compared}); claim {outcome.low:.3f}–{outcome.high:.3f} {claim};"
        f" {outcome.seconds:.0f} s"
    )


def _print_totals(results: list[Outcome]) -> None:
    """Runs one by one, then each set's mean over its seeds."""
    compared = {"the best baseline": [(one, one.verdict) for one in results]}
    for name in sorted({name for one in results for name in one.rivals}):
        found = [(one, one.rivals[name].verdict) for one in results if name in one.rivals]
        compared[name] = found
    for name, found in compared.items():
        verdicts = [verdict for _, verdict in found]
        counts = [f"{verdicts.count(one)} {one}" for one in ("better", "tie", "worse")]
        names = list(dict.fromkeys(one.set_name for one, _ in found))
        ahead = sum(_is_ahead([one for one, _ in found if one.set_name == each], name)
                    for each in names)  # fmt: skip
        print(
            f"Against {name}: {', '.join(counts)} of {len(found)} runs;"
            f" mean as high or higher on {ahead} of {len(names)} sets"
        )
    claims = [outcome.claim_holds for outcome in results if outcome.claim_holds is not None]
    print(f"{sum(claims)} of {len(claims)} claims hold")


def _is_ahead(runs: list[Outcome], name: str) -> bool:
    own = np.mean([run.own for run in runs])
    if name in runs[0].rivals:
        return bool(own >= np.mean([run.rivals[name].value for run in runs]))
    return bool(
        own >= max(np.mean([run.baselines[one].value for run in runs])
                   for one in runs[0].baselines)
    )  # fmt: skip


if __name__ == "__main__":
    main()
