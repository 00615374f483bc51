"""Rows to train on, rows kept back, and what a usual model of scikit-learn makes of the same."""

import argparse
import base64
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

TASKS = (
    "text-classification",
    "tabular-classification",
    "tabular-regression",
    "image-classification",
)
SIDE = 32  # Of the pictures that the usual model reads, in pixels.
Answer = dict[str, Any]  # An item of /v1/classify.


@dataclass(frozen=True)
class Rows:
    """A file to upload, and the rows of which its model knows nothing."""

    task: str
    file: Path
    features: Any  # Of the training rows: texts, a DataFrame, or pictures as bytes.
    targets: list[Any]
    kept_back: Any
    truth: list[Any]

    def questions(self) -> list[Any]:
        """As /v1/classify takes them."""
        if self.task.startswith("tabular"):
            table = self.kept_back.astype(object)
            rows: list[Any] = table.where(table.notna(), None).to_dict("records")
            return rows
        if self.task.startswith("image"):
            return [base64.b64encode(picture).decode() for picture in self.kept_back]
        return list(self.kept_back)


def rows_of(options: argparse.Namespace, folder: Path) -> Rows:
    if options.task.startswith("image"):
        return _pictures(options, folder)
    is_text, target = options.task.startswith("text"), options.target or "label"
    data = pd.read_csv(options.data, keep_default_na=not is_text)
    if options.test:
        train, kept = data, pd.read_csv(options.test, keep_default_na=not is_text)
    else:
        alike = None if options.task.endswith("regression") else data[target]
        train, kept = train_test_split(data, test_size=0.2, random_state=0, stratify=alike)
    file = folder / options.data.name
    train.to_csv(file, index=False)
    wanted = options.text if is_text else data.columns.drop(target)
    truth, targets = kept[target].tolist(), train[target].tolist()
    if not options.task.endswith("regression"):
        truth, targets = [str(one) for one in truth], [str(one) for one in targets]
    return Rows(options.task, file, train[wanted], targets, kept[wanted], truth)


def _pictures(options: argparse.Namespace, folder: Path) -> Rows:
    """Pictures below a folder named test are kept back; the folder just above one is its label."""
    file = folder / options.data.name
    parts: dict[bool, tuple[list[bytes], list[str]]] = {False: ([], []), True: ([], [])}
    with zipfile.ZipFile(options.data) as archive, zipfile.ZipFile(file, "w") as left:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
                continue
            pictures, labels = parts["test" in path.parts]
            pictures.append(archive.read(name))
            labels.append(path.parent.name)
            if "test" not in path.parts:
                left.writestr(f"{path.parent.name}/{path.name}", pictures[-1])
    return Rows(options.task, file, *parts[False], *parts[True])


def scores(rows: Rows, answers: list[Answer]) -> dict[str, float]:
    """Of the rows kept back; AUC where there are two labels."""
    truth = np.array(rows.truth)
    if rows.task.endswith("regression"):
        values = np.array([answer["value"] for answer in answers])
        return {
            "R2": metrics.r2_score(truth, values),
            "mean absolute error": metrics.mean_absolute_error(truth, values),
        }
    said = np.array([answer["label"] for answer in answers])
    found = {
        "accuracy": metrics.accuracy_score(truth, said),
        "macro F1": metrics.f1_score(truth, said, average="macro"),
    }
    if len(labels := sorted(set(truth))) == 2:
        chances = [
            next(one["score"] for one in answer["scores"] if one["label"] == labels[1])
            for answer in answers
        ]
        found["AUC"] = metrics.roc_auc_score(truth == labels[1], chances)
    return found


def baseline_answers(rows: Rows) -> tuple[str, list[Answer]]:
    """The name of the usual model at its defaults, and its answers."""
    name, model, read = _baseline(rows)
    model.fit(read(rows.features), rows.targets)
    said = model.predict(read(rows.kept_back))
    if rows.task.endswith("regression"):
        return name, [{"value": float(value)} for value in said]
    chances = model.predict_proba(read(rows.kept_back))
    names = [str(label) for label in model.classes_]
    return name, [
        {
            "label": str(label),
            "scores": [
                {"label": one, "score": score} for one, score in zip(names, row, strict=True)
            ],
        }
        for label, row in zip(said, chances, strict=True)
    ]


def _baseline(rows: Rows) -> tuple[str, Any, Callable[[Any], Any]]:
    if rows.task.startswith("text"):
        model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
        return "TF-IDF and logistic regression", model, lambda texts: texts
    if rows.task.startswith("image"):
        model = LogisticRegression(max_iter=1000)
        return f"logistic regression on {SIDE} by {SIDE} pixels", model, _pixels
    boosted = HistGradientBoostingRegressor, HistGradientBoostingClassifier
    model = boosted[rows.task.endswith("classification")](
        random_state=0, categorical_features="from_dtype"
    )
    kinds = {
        column: pd.CategoricalDtype(sorted(rows.features[column].dropna().unique()))
        for column in rows.features.select_dtypes(exclude="number")
    }
    return "boosted trees", model, lambda table: table.astype(kinds)


def _pixels(pictures: list[bytes]) -> Any:
    small = [
        np.asarray(Image.open(io.BytesIO(one)).convert("RGB").resize((SIDE, SIDE)))
        for one in pictures
    ]
    return np.stack(small).reshape(len(small), -1) / 255
