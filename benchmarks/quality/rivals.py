"""The rivals that benchmarks.quality measures beside a job: one of them, in this process.

    python -m benchmarks.quality.rivals NAME REQUEST.json

The request names a folder with train.parquet and test.parquet; the answers to the test rows are
written into answers.json there. Only the seconds of training are limited.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Request:
    folder: str
    target: str
    metric: str  # As scikit-learn and AutoGluon call it.
    seconds: float
    base_model: str


def autogluon(request: Request, train: Any, test: Any) -> list[Any]:
    """AutoGluon-tabular's preset medium_quality, on all cores."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(
        request.target, eval_metric=request.metric, path=f"{request.folder}/models", verbosity=0
    )
    predictor.fit(train, presets="medium_quality", time_limit=request.seconds)
    return predictor.predict(test).tolist()  # type: ignore[no-any-return]


def setfit(request: Request, train: Any, test: Any) -> list[Any]:
    """SetFit with its own linear head, for the seconds allowed."""
    from benchmarks import training_rivals

    text = next(name for name in train.columns if name != request.target)
    labels = sorted(set(train[request.target]))
    numbers = [labels.index(label) for label in train[request.target]]
    asked = training_rivals.Request(
        base_model=request.base_model,
        train=list(map(list, zip(train[text], numbers, strict=True))),
        test=[],
        labels=len(labels),
        seconds=request.seconds,
    )
    model, _ = training_rivals.fit_setfit(asked)
    return [labels[int(number)] for number in model.predict(test[text].tolist())]


def main(name: str, path: str) -> None:
    request = Request(**json.loads(Path(path).read_text()))
    folder = Path(request.folder)
    train, test = (pq.read_table(folder / f"{part}.parquet") for part in ("train", "test"))
    found = {"autogluon": autogluon, "setfit": setfit}[name](
        request, train.to_pandas(), test.to_pandas()
    )
    (folder / "answers.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
