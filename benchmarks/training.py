"""How fast the engine trains beside transformers.Trainer and SetFit, on the same rows, in one run.

    python -m benchmarks.training [--rounds 3] [--rows 1280] [--seconds 120] [--only speed]

Speed: rows per second in one epoch over `--rows` rows, in interleaved rounds, medians.
`trainer` is transformers.Trainer with its defaults, but each batch padded to its own longest text;
`well-set` also groups rows by length, in batches of 32 and bf16. Neither validates or saves;
`engine` is the real `python -m engine train` and does both within the time counted for it.

Accuracy: what each makes of the whole training set. The engine and its quick method ("probe")
decide by themselves when they are done; the others get `--seconds` of training, with schedules
that end there. SetFit is installed into an environment of its own below var/ when first needed.

Data: banking77 from ../shared when it is there (or --train and --test: CSV files with columns text
and category), else generated tickets. Everything runs on all cores, one after another, and waits
without spinning, as the engine always does; --spinning lets the others' threads spin, torch's
default, which is a little faster on a quiet machine and far slower on a busy one.
"""

import argparse
import csv
import json
import os
import site
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine import catalog, loading, sample_tickets

PROJECT = Path(__file__).resolve().parent.parent
BANKING = PROJECT.parent / "shared/data/banking77"
BASE_MODEL = "all-MiniLM-L6-v2"
HELD_OUT = 100  # Rows to validate and test on in a measurement of speed.
TRAINER_BATCH = {"trainer": 8, "well-set": 32}
POLITE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
SETFIT = ["setfit==1.2.0", "datasets"]
Rows = list[tuple[str, str]]


def main() -> None:
    options = _options()
    train, test = _data(options)
    print(f"{len(train):,} training rows, {len(test):,} test rows", end="; ")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        waiting = {} if options.spinning else POLITE
        bench = Bench(Path(folder), train, test, os.environ | waiting)
        speeds = bench.speeds(options.rounds, options.rows)
        _print_speeds(speeds)
        if options.only != "speed":
            bench.accuracies(options.seconds, speeds, with_setfit=not options.without_setfit)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1280, help="of an epoch whose speed is taken")
    parser.add_argument("--seconds", type=float, default=120, help="of training for the others")
    parser.add_argument("--only", choices=["speed", "all"], default="all")
    parser.add_argument("--spinning", action="store_true")
    parser.add_argument("--without-setfit", action="store_true")
    parser.add_argument("--train", type=Path, default=BANKING / "train.csv")
    parser.add_argument("--test", type=Path, default=BANKING / "test_a.csv")
    return parser.parse_args()


def _data(options: argparse.Namespace) -> tuple[Rows, Rows]:
    if options.train.exists() and options.test.exists():
        return _read(options.train), _read(options.test)
    tickets = [(row[4], row[5]) for row in sample_tickets.tickets(6000, seed=0)]
    return tickets[:5000], tickets[5000:]


def _read(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


class Bench:
    """Runs contenders one after another, each in a process of its own."""

    def __init__(self, folder: Path, train: Rows, test: Rows, environment: dict[str, str]) -> None:
        self._folder, self._train, self._test = folder, train, test
        self._environment = environment  # Of the others.
        self._labels = sorted({label for _, label in train})
        self._base_model = str(loading.locate(catalog.find(BASE_MODEL)))
        self._runs = 0

    def speeds(self, rounds: int, rows: int) -> dict[str, list[float]]:
        train = self._train[:: max(1, len(self._train) // rows)][:rows]
        held = self._test[:HELD_OUT]
        speeds: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name in TRAINER_BATCH:
                found = self._rival(name, train=train, test=[])
                speeds.setdefault(name, []).append(found["rows"] / found["seconds"])
            dials = {"epochs": 1, "method": "full"}
            report = self._engine(train, held, held, dials)
            speeds.setdefault("engine", []).append(report["training"]["rows_per_second"])
        return speeds

    def accuracies(
        self, seconds: float, speeds: dict[str, list[float]], *, with_setfit: bool
    ) -> None:
        print("\naccuracy on the test rows, seconds of training")
        # One row in twenty validates, as in a job at default settings.
        validation = self._train[::20]
        train = [row for at, row in enumerate(self._train) if at % 20]
        for name, dials in (("probe", {"method": "probe"}), ("engine", {})):
            report = self._engine(train, validation, self._test, dials)
            metrics = {one["name"]: one["value"] for one in report["metrics"]}
            _print_accuracy(name, metrics["accuracy"], report["timings"]["training_seconds"])
        for name, batch in TRAINER_BATCH.items():
            steps = max(1, int(seconds * statistics.median(speeds[name]) / batch))
            found = self._rival(name, train=self._train, test=self._test, steps=steps)
            _print_accuracy(name, found["accuracy"], found["seconds"])
        if with_setfit:
            python = _setfit_python()
            found = self._rival(
                "setfit", python, train=self._train, test=self._test, seconds=seconds
            )
            _print_accuracy("setfit", found["accuracy"], found["seconds"])

    def _rival(self, name: str, python: str = sys.executable, **asked: Any) -> dict[str, float]:
        numbers = {label: number for number, label in enumerate(self._labels)}
        for part in ("train", "test"):
            asked[part] = [(text, numbers[label]) for text, label in asked[part]]
        request = {"base_model": self._base_model, "labels": len(self._labels)} | asked
        path = self._folder / "request.json"
        path.write_text(json.dumps(request))
        command = [python, "-m", "benchmarks.training_rivals", name, str(path)]
        out = _run(command, cwd=PROJECT, env=self._environment)
        answer: dict[str, float] = json.loads(out.splitlines()[-1])
        return answer

    def _engine(
        self, train: Rows, validation: Rows, test: Rows, dials: dict[str, Any]
    ) -> dict[str, Any]:
        """The report of a whole job on these rows."""
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
        _run([sys.executable, "-m", "engine", "train", str(folder / "spec.json")], cwd=PROJECT)
        report: dict[str, Any] = json.loads((folder / "artifact/report.json").read_bytes())
        return report


def _run(command: list[str], **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def _setfit_python() -> str:
    """An environment that sees our packages and adds SetFit, which is no dependency of ours."""
    folder = Path(os.environ.get("LATHE_VAR", PROJECT / "var")) / "benchmarks/setfit"
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        venv.create(folder, clear=True, with_pip=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        ours = folder / "lib" / version / "site-packages/ours.pth"
        ours.write_text("\n".join(site.getsitepackages()) + "\n")
        _run([str(python), "-m", "pip", "install", "--quiet", *SETFIT])
        (folder / "ready").touch()
    return str(python)


def _print_speeds(speeds: dict[str, list[float]]) -> None:
    ours = statistics.median(speeds["engine"])
    print("\nrows/s (median; lowest to highest), and how many times as fast the engine is")
    for name, found in speeds.items():
        middle = statistics.median(found)
        spread = f"({min(found):.1f} to {max(found):.1f})"
        print(f"  {name:9}{middle:8.1f} {spread:18} {ours / middle:.1f}", flush=True)


def _print_accuracy(name: str, accuracy: float, seconds: float) -> None:
    print(f"  {name:9}{accuracy:.4f}  {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
