"""How fast the engine trains beside transformers.Trainer and SetFit, on the same rows, in one run.

    python -m benchmarks.training [--rounds 3] [--rows 1280] [--seconds 120]
        [--part speed|accuracy] [--of engine probe trainer well-set setfit]

Speed: rows per second in one epoch over `--rows` rows, in interleaved rounds, medians.
`trainer` is transformers.Trainer with its defaults, but each batch padded to its own longest text;
`well-set` is the best of what its documentation offers for such texts (it says which settings).
Neither validates or saves; `engine` is the real `python -m engine train` with the settings it
chooses for the whole training set, and does both within the time counted for it; `engine-full`
is the same with every weight learning, as in the Trainer's.

Accuracy: what each makes of the whole training set. The engine and its quick method ("probe")
decide by themselves when they are done; the others get `--seconds` of training, with schedules
that end there. `whole` is the wall time of the process, from its start to a tested model; the
engine's and the probe's include exporting, checking and reporting. SetFit is installed into an
environment of its own below var/ when first needed.

Data: banking77 from ../shared when it is there (or --train and --test: CSV files with columns text
and category), else generated tickets. Everything runs on all cores, one after another. The others'
threads spin while they wait, torch's default, which is quickest on a quiet machine; the engine's
wait as they do beside a server.
"""

import argparse
import csv
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.environments import SETFIT, locate_python, run_checked
from engine import catalog
from engine.spec import TextHyperparameters
from engine.tasks.text import base_models
from inference import demo_data

PROJECT = Path(__file__).resolve().parent.parent
BANKING = PROJECT.parent / "shared/data/banking77"
BASE_MODEL = "all-MiniLM-L6-v2"
SPEED_ROWS = 1280
HELD_OUT = 100  # Rows to validate and test on in a measurement of speed.
# What its documentation recommends for texts of different lengths.
WELL_SET: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "train_sampling_strategy": "group_by_length",
    "bf16": True,
    "learning_rate": 2e-4,
    "warmup_steps": 0.1,
}
TRAINERS: dict[str, dict[str, Any]] = {
    "trainer": {},
    "well-set": {"settings": WELL_SET, "attention": "sdpa"},
}
TRAINER_BATCH = {"trainer": 8, "well-set": WELL_SET["per_device_train_batch_size"]}
ENGINE_DIALS = {"engine": {}, "engine-full": {"method": "full"}}
SPEEDS_OF = [*TRAINER_BATCH, *ENGINE_DIALS]
ACCURACIES_OF = ["probe", "engine", *TRAINER_BATCH, "setfit"]
Rows = list[tuple[str, str]]


def main() -> None:
    options = _options()
    train, test = _data(options)
    print(f"{len(train):,} training rows, {len(test):,} test rows", end="; ")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), train, test)
        settings = WELL_SET | {"attention": TRAINERS["well-set"]["attention"]}
        print(f"well-set: {', '.join(f'{name} {value}' for name, value in settings.items())}")
        if options.part != "accuracy":
            _print_speeds(bench.speeds(SPEEDS_OF, options.rounds, options.rows))
        if options.part != "speed":
            bench.accuracies(options.of, options.seconds)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=SPEED_ROWS, help="of an epoch")
    parser.add_argument("--seconds", type=float, default=120, help="of training for the others")
    parser.add_argument("--part", choices=["speed", "accuracy", "all"], default="all")
    parser.add_argument("--of", nargs="+", choices=ACCURACIES_OF, default=ACCURACIES_OF)
    parser.add_argument("--train", type=Path, default=BANKING / "train.csv")
    parser.add_argument("--test", type=Path, default=BANKING / "test_a.csv")
    return parser.parse_args()


def _data(options: argparse.Namespace) -> tuple[Rows, Rows]:
    if options.train.exists() and options.test.exists():
        return _read(options.train), _read(options.test)
    tickets = [(row[4], row[5]) for row in demo_data.generate_tickets(6000, seed=0)]
    return tickets[:5000], tickets[5000:]


def _read(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


class Bench:
    """Runs contenders one after another, each in a process of its own."""

    def __init__(self, folder: Path, train: Rows, test: Rows) -> None:
        self._folder, self._train, self._test = folder, train, test
        self._labels = sorted({label for _, label in train})
        self._base_model = str(base_models.locate_base_model(catalog.get_base_model(BASE_MODEL)))
        self._runs = 0

    def speeds(self, names: list[str], rounds: int, rows: int) -> dict[str, list[float]]:
        train = self._train[:: max(1, len(self._train) // rows)][:rows]
        speeds: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name in names:
                speeds.setdefault(name, []).append(self._speed(name, train))
        return speeds

    def _speed(self, name: str, train: Rows) -> float:
        if name in TRAINER_BATCH:
            found = self._rival(name, train=train, test=[], **TRAINERS[name])[0]
            return found["rows"] / found["seconds"]
        held, spec = self._test[:HELD_OUT], TextHyperparameters()
        whole = len(self._train)
        method = spec.chosen_method(whole, len(self._labels))
        chosen = {"method": method, "batch_tokens": spec.planned_batch_tokens(whole)}
        dials = {"epochs": 1} | chosen | ENGINE_DIALS[name]
        return float(self._engine(train, held, held, dials)[0]["training"]["rows_per_second"])

    def accuracies(self, names: list[str], seconds: float) -> None:
        print("\naccuracy on the test rows, seconds of training, of the whole process")
        for name in names:
            asked: dict[str, Any] = {"seconds": seconds}
            if name in TRAINER_BATCH:
                speed = self.speeds([name], 1, SPEED_ROWS)[name][0]
                steps = max(1, int(seconds * speed / TRAINER_BATCH[name]))
                asked = TRAINERS[name] | {"steps": steps}
            if name in ("probe", "engine"):
                self._own_accuracy(name)
                continue
            python = locate_python("setfit", SETFIT) if name == "setfit" else sys.executable
            found, whole = self._rival(name, python, train=self._train, test=self._test, **asked)
            _print_accuracy(name, found["accuracy"], found["seconds"], whole)

    def _own_accuracy(self, name: str) -> None:
        # One row in twenty validates, as in a job at default settings.
        validation = self._train[::20]
        train = [row for at, row in enumerate(self._train) if at % 20]
        dials = {"method": "probe"} if name == "probe" else {}
        report, whole = self._engine(train, validation, self._test, dials)
        metrics = {one["name"]: one["value"] for one in report["metrics"]}
        _print_accuracy(name, metrics["accuracy"], report["timings"]["training_seconds"], whole)

    def _rival(
        self, name: str, python: str = sys.executable, **asked: Any
    ) -> tuple[dict[str, float], float]:
        """What it says of its training, and the wall time of its process."""
        numbers = {label: number for number, label in enumerate(self._labels)}
        for part in ("train", "test"):
            asked[part] = [(text, numbers[label]) for text, label in asked[part]]
        request = {"base_model": self._base_model, "labels": len(self._labels)} | asked
        path = self._folder / "request.json"
        path.write_text(json.dumps(request))
        kind = "setfit" if name == "setfit" else "trainer"
        command = [python, "-m", "benchmarks.training_rivals", kind, str(path)]
        started_at = time.monotonic()
        out = run_checked(command)
        return json.loads(out.splitlines()[-1]), time.monotonic() - started_at

    def _engine(
        self, train: Rows, validation: Rows, test: Rows, dials: dict[str, Any]
    ) -> tuple[dict[str, Any], float]:
        """The report of a whole job on these rows, and the wall time of its process."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        parts = {"train": train, "validation": validation, "test": test}
        rows = [(text, label, part) for part, some in parts.items() for text, label in some]
        columns = dict(
            zip(("text", "label", "part"), map(list, zip(*rows, strict=True)), strict=True)
        )
        pq.write_table(pa.table(columns), folder / "data.parquet")
        spec = {
            "data": str(folder / "data.parquet"),
            "text_columns": ["text"],
            "target_column": "label",
            "split": {"column": "part"},
            "output": str(folder / "artifact"),
            "work": str(folder / "work"),
            "hyperparameters": dials,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        started_at = time.monotonic()
        run_checked([sys.executable, "-m", "engine", "train", str(folder / "spec.json")])
        whole = time.monotonic() - started_at
        return json.loads((folder / "artifact/report.json").read_bytes()), whole


def _print_speeds(speeds: dict[str, list[float]]) -> None:
    ours = statistics.median(speeds["engine"])
    print("\nrows/s (median; lowest to highest), and how many times as fast the engine is")
    for name, found in speeds.items():
        middle = statistics.median(found)
        spread = f"({min(found):.1f} to {max(found):.1f})"
        print(f"  {name:12}{middle:8.1f} {spread:18} {ours / middle:.1f}", flush=True)


def _print_accuracy(name: str, accuracy: float, seconds: float, whole: float) -> None:
    print(f"  {name:9}{accuracy:.4f}  {seconds:6.1f} s  {whole:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
