"""The data sets of benchmarks.quality: from scikit-learn, from our own generators and, where
../shared/data lies beside the checkout, public ones."""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn import datasets

from benchmarks.environments import PROJECT
from inference import demo_data

SHARED = PROJECT.parent / "shared/data"
MAX_ROWS = 3000
FEW_ROWS = 8
DRAWN_DIGITS = 1000
DRAWN_SIDE = 64  # Pixels.
Column = list[Any]
Values = npt.NDArray[Any]


@dataclass(frozen=True)
class DataSet:
    """Columns of equal length, one of them the target."""

    name: str
    task: str
    columns: dict[str, Column]
    target: str
    truth: Column | None = None  # The right targets, where some of the columns' are wrong.

    @property
    def inputs(self) -> list[str]:
        return [name for name in self.columns if name != self.target]

    def take(self, rows: Values) -> dict[str, Column]:
        return {name: [cells[row] for row in rows] for name, cells in self.columns.items()}


def list_sets() -> Iterator[DataSet]:
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
    yield _drawn_digits()
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
    with_errors = columns | {"y": wrong.tolist()}
    yield DataSet("friedman-errors", "tabular-regression", with_errors, "y", target.tolist())
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


def _drawn_digits() -> DataSet:
    """scikit-learn's scanned digits as PNG files."""
    loaded = datasets.load_digits()
    pictures = []
    for scan in loaded.images[:DRAWN_DIGITS]:
        picture = Image.fromarray((255 - scan * 255 / 16).astype(np.uint8))
        picture = picture.resize((DRAWN_SIDE, DRAWN_SIDE), Image.Resampling.BICUBIC)
        content = io.BytesIO()
        picture.convert("RGB").save(content, "PNG")
        pictures.append(content.getvalue())
    labels = [f"digit {one}" for one in loaded.target[:DRAWN_DIGITS]]
    columns = {"picture": pictures, "label": labels}
    return DataSet("drawn-digits", "image-classification", columns, "label")


def _shared_sets() -> Iterator[DataSet]:
    for name, path, task, target in (
        ("banking77", "banking77/train.csv", "text-classification", "category"),
        ("clinc150", "clinc150_faq/train.csv", "text-classification", "intent"),
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

    if (SHARED / "clothing_images").is_dir():
        yield _clothing()


def _clothing() -> DataSet:
    folder = SHARED / "clothing_images"
    listed = _read_csv(folder / "labels.csv")
    with zipfile.ZipFile(folder / "clothing_4_classes.zip") as archive:
        pictures = [archive.read(str(name)) for name in listed["file"]]
    columns: dict[str, Column] = {"picture": pictures, "label": listed["label"]}
    return DataSet("clothing", "image-classification", columns, "label")


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
