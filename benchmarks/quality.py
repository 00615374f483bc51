"""How good the defaults are: a job's model beside simple baselines, on rows that neither saw.

    python -m benchmarks.quality [--seeds 5] [--sets wine breast-cancer …] [--method auto]

Each set is divided anew for each seed: 75 % of the rows go to the engine as a customer's file
would, with default settings, and to scikit-learn's own defaults; 25 % stay apart and are answered
by the served artifact. Better, tie or worse is by the paired bootstrap interval of the difference
in the set's metric (accuracy, balanced accuracy where the rarest class has less than 20 %, or R²).
`claim` is the interval that the job's own report gave for that metric; it holds where it and the
95 % interval of the figure on the rows apart have something in common.

Data: from scikit-learn and from our own generators; with ../shared/data beside the checkout also
banking77, sentiment, German credit, Adult and white wine. Runs for minutes to hours: one engine
process after another, on all cores.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from engine import serving
from inference import demo_data

PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared/data"
RESAMPLES = 1000
RARE_SHARE = 0.2
MAX_ROWS = 3000
FEW_ROWS = 8
Column = list[Any]
Values = npt.NDArray[Any]


@dataclass(frozen=True)
class DataSet:
    """Columns of equal length, one of them the target."""

    name: str
    task: str
    columns: dict[str, Column]
    target: str

    @property
    def inputs(self) -> list[str]:
        return [name for name in self.columns if name != self.target]

    def take(self, rows: Values) -> dict[str, Column]:
        return {name: [cells[row] for row in rows] for name, cells in self.columns.items()}


def main() -> None:
    options = _parse_options()
    results = []
    for data in _list_sets():
        if options.sets and data.name not in options.sets:
            continue
        for seed in range(options.seeds):
            results.append(_run(data, seed, options.method))
            print(_format(results[-1]), flush=True)
    _print_totals(results)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--method", default="auto")
    return parser.parse_args()


def _list_sets() -> Iterator[DataSet]:
    for name, load in (
        ("iris", datasets.load_iris),
        ("wine", datasets.load_wine),
        ("breast-cancer", datasets.load_breast_cancer),
        ("digits", datasets.load_digits),
        ("diabetes", datasets.load_diabetes),
    ):
        yield _from_scikit_learn(name, load())
    yield from _made_tables()
    yield from _texts_with_noise()
    yield from _shared_sets()


def _from_scikit_learn(name: str, loaded: Any) -> DataSet:
    names = [str(one) for one in getattr(loaded, "feature_names", range(loaded.data.shape[1]))]
    columns = {one: loaded.data[:, place].tolist() for place, one in enumerate(names)}
    is_label = hasattr(loaded, "target_names") and len(np.unique(loaded.target)) <= 20
    target = [f"class {one}" for one in loaded.target] if is_label else loaded.target.tolist()
    task = "tabular-classification" if is_label else "tabular-regression"
    return DataSet(name, task, columns | {"target": target}, "target")


def _made_tables() -> Iterator[DataSet]:
    """Friedman's regression (1991), plain and with one target in a hundred a thousand times too
    large; and labels that the columns do not tell."""
    features, target = datasets.make_friedman1(1200, noise=1.0, random_state=4)
    columns = {f"x{place}": features[:, place].tolist() for place in range(features.shape[1])}
    yield DataSet("friedman", "tabular-regression", columns | {"y": target.tolist()}, "y")
    wrong = target.copy()
    wrong[np.random.default_rng(4).choice(900, 9, replace=False)] *= 1000
    yield DataSet("friedman-errors", "tabular-regression", columns | {"y": wrong.tolist()}, "y")
    prices = np.exp(target / 5) * 1000
    yield DataSet("prices", "tabular-regression", columns | {"y": prices.tolist()}, "y")
    rare, labels = datasets.make_classification(
        3000, 12, n_informative=5, weights=[0.96], flip_y=0.01, class_sep=1.2, random_state=7
    )
    table = {f"x{place}": rare[:, place].tolist() for place in range(rare.shape[1])}
    fraud = np.where(labels == 1, "fraud", "honest").tolist()
    yield DataSet("rare-label", "tabular-classification", table | {"y": fraud}, "y")
    chance = np.random.default_rng(5).choice(["yes", "no"], len(target)).tolist()
    yield DataSet("no-signal", "tabular-classification", columns | {"y": chance}, "y")


def _texts_with_noise() -> Iterator[DataSet]:
    """Our support tickets, with every fourth label wrong in the second set."""
    rows = demo_data.generate_tickets(1600, seed=0)
    *_, subjects, messages, queues = zip(*rows, strict=True)
    texts = [f"{subject}\n{message}" for subject, message in zip(subjects, messages, strict=True)]
    labels = list(queues)
    yield DataSet("tickets", "text-classification", {"text": texts, "label": labels}, "label")
    rng = np.random.default_rng(6)
    noisy = [rng.choice(sorted(set(labels))) if rng.random() < 0.25 else label for label in labels]
    yield DataSet("noisy-tickets", "text-classification", {"text": texts, "label": noisy}, "label")


def _shared_sets() -> Iterator[DataSet]:
    for name, path, task, target in (
        ("banking77", "banking77/train.csv", "text-classification", "category"),
        ("sentiment", "sentiment_sentences/sentiment.csv", "text-classification", "label"),
        ("german-credit", "german_credit/german_credit.csv", "tabular-classification", "risk"),
        ("adult", "adult_census/adult_6k.csv", "tabular-classification", "class"),
        ("wine-quality", "wine_quality/wine-quality.csv", "tabular-regression", "quality"),
    ):
        if not (SHARED / path).is_file():
            continue
        columns = _read_csv(SHARED / path)
        if target not in columns:
            target = list(columns)[-1]
        keep = np.random.default_rng(0).permutation(len(columns[target]))[:MAX_ROWS]
        columns = {one: [cells[row] for row in keep] for one, cells in columns.items()}
        if task.startswith("text"):
            text = next(one for one in columns if one != target)
            columns = {text: columns[text], target: columns[target]}
        if task.endswith("classification"):  # A label is a word, also where it is written as 0.
            columns[target] = [str(cell) for cell in columns[target]]
        yield DataSet(name, task, columns, target)
        if name == "banking77":
            yield _few_rows(columns, target)


def _few_rows(columns: dict[str, Column], target: str) -> DataSet:
    """Eight rows of each label, of which six are known."""
    seen: dict[Any, int] = {}
    keep = []
    for row, label in enumerate(columns[target]):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= FEW_ROWS:
            keep.append(row)
    few = {name: [cells[row] for row in keep] for name, cells in columns.items()}
    return DataSet("few-rows", "text-classification", few, target)


def _read_csv(path: Path) -> dict[str, Column]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=first.count)
        header, *rows = csv.reader(file, delimiter=delimiter)
    return {name: [_to_cell(row[place]) for row in rows] for place, name in enumerate(header)}


def _to_cell(cell: str) -> str | float:
    try:
        return int(cell) if cell.lstrip("-").isdigit() else float(cell)
    except ValueError:
        return cell


@dataclass(frozen=True)
class Outcome:
    set_name: str
    seed: int
    metric: str
    own: float
    rivals: dict[str, float]
    verdict: str  # Against the best rival.
    low: float
    high: float
    claim_holds: bool | None  # None where the report gives no interval of this metric.
    seconds: float


def _run(data: DataSet, seed: int, method: str) -> Outcome:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.columns[data.target]))
    known, apart = order[: int(0.75 * len(order))], order[int(0.75 * len(order)) :]
    truth = np.array(data.columns[data.target], dtype=object)[apart]
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report, answers = _train_and_answer(data, known, apart, Path(folder), method)
    seconds = time.monotonic() - started_at
    name, score = _choose_metric(data, truth)
    rivals = {one: fit(data, known, apart) for one, fit in _rivals(data).items()}
    values = {one: score(truth, predicted) for one, predicted in rivals.items()}
    best = max(values, key=values.__getitem__)
    low, high = _paired_interval(score, truth, answers, rivals[best], rng)
    verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
    own = score(truth, answers)
    claim = next((one for one in report["metrics"] if one["name"] == name), None)
    holds = claim and claim["low"] is not None and _claim_holds(score, truth, answers, claim, rng)
    return Outcome(
        data.name, seed, name, own, values, verdict,
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
    taken = data.take(apart)
    rows: list[Any] = [
        {name: taken[name][row] for name in data.inputs} for row in range(len(apart))
    ]
    if data.task.startswith("text"):
        rows = [str(row[data.inputs[0]]) for row in rows]
    answers = [dict(one) for one in serving.load_model(folder / "artifact").answer(rows)]
    key = "value" if data.task.endswith("regression") else "label"
    report = json.loads((folder / "artifact/report.json").read_text())
    return report, np.array([answer[key] for answer in answers], dtype=object)


def _choose_metric(data: DataSet, truth: Values) -> tuple[str, Callable[[Values, Values], float]]:
    if data.task.endswith("regression"):
        return "r2", lambda true, answers: float(
            r2_score(true.astype(float), answers.astype(float))
        )
    _, counts = np.unique(truth.astype(str), return_counts=True)
    rare = counts.min() / counts.sum() < RARE_SHARE and len(counts) <= 3
    score = balanced_accuracy_score if rare else accuracy_score
    name = "balanced_accuracy" if rare else "accuracy"
    return name, lambda true, answers: float(score(true.astype(str), answers.astype(str)))


def _rivals(data: DataSet) -> dict[str, Callable[[DataSet, Values, Values], Values]]:
    if data.task.startswith("text"):
        return {
            "TF-IDF words": _tfidf("word", (1, 2)),
            "TF-IDF characters": _tfidf("char_wb", (2, 5)),
        }
    return {"linear": _linear, "boosted trees": _boosted}


def _tfidf(analyzer: str, lengths: tuple[int, int]) -> Callable[[DataSet, Values, Values], Values]:
    def fit(data: DataSet, known: Values, apart: Values) -> Values:
        vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, sublinear_tf=True)
        model = make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=300))
        texts = np.array(data.columns[data.inputs[0]], dtype=object).astype(str)
        labels = np.array(data.columns[data.target], dtype=object).astype(str)
        return np.asarray(model.fit(texts[known], labels[known]).predict(texts[apart]))

    return fit


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
    score: Callable[[Values, Values], float],
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
    score: Callable[[Values, Values], float],
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
    rivals = ", ".join(f"{name} {value:.3f}" for name, value in outcome.rivals.items())
    claim = {True: "holds", False: "fails", None: "none"}[outcome.claim_holds]
    return (
        f"{outcome.set_name:16} seed {outcome.seed}  {outcome.metric} {outcome.own:.3f}"
        f" ({rivals}) {outcome.verdict}; claim {outcome.low:.3f}–{outcome.high:.3f} {claim};"
        f" {outcome.seconds:.0f} s"
    )


def _print_totals(results: list[Outcome]) -> None:
    verdicts = [outcome.verdict for outcome in results]
    claims = [outcome.claim_holds for outcome in results if outcome.claim_holds is not None]
    print(
        f"{len(results)} runs: {verdicts.count('better')} better, {verdicts.count('tie')} ties,"
        f" {verdicts.count('worse')} worse than the best baseline;"
        f" {sum(claims)} of {len(claims)} claims hold"
    )


if __name__ == "__main__":
    main()
