"""What the platform costs beside the engine: the same job bare and by a trainer, in turns.

    make up                                            # in another terminal
    python -m benchmarks.overhead --token TOKEN --train train.csv [--rounds 3]

`bare` is `python -m engine train` on the same columns and hyperparameters, waiting as politely as a
trainer's does. `job` goes through the API and is watched once a second: supervised, recorded,
metered, its checkpoints and artifact stored, with web, worker and Redis running on the same cores
during both. Seconds are those of a whole run, from start to artifact, and of its training alone.
The trainer's engine has loaded torch before it gets the job, which the bare one must do first:
the training alone says what the platform costs, the whole run what a user waits for.

Two runs of one job differ by more than that cost on most machines. So the processor time of the
platform is printed, too: all that the machine spends from a job's start to its end, less the
engine's own and less what it spends in as many seconds without a job, as a share of the engine's.
Run nothing else then.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.product.api import checked, settled, upload
from engine.thread_env import THREAD_ENV

PROJECT = Path(__file__).resolve().parent.parent

RELOAD_SECONDS = 20.0  # In which the trainer makes its next engine ready, beside no measurement.
Seconds = tuple[float, float]  # Of the whole run and of training.


def main() -> None:
    options = _options()
    headers = {"Authorization": f"Bearer {options.token}"}
    taken: dict[str, list[Seconds]] = {"bare": [], "job": []}
    shares: list[float] = []  # Of each job: the platform's processor time by the engine's.
    print(f"load {os.getloadavg()[0]:.1f} at the start", flush=True)
    with httpx.Client(base_url=options.url, headers=headers, timeout=120) as api:
        dataset = upload(api, options.train)
        with Processor() as processor:
            time.sleep(RELOAD_SECONDS)
        idle = processor.others / processor.seconds
        for _ in range(options.rounds):
            with Processor() as processor:
                job, seconds = _job(api, dataset)
            shares.append((processor.others - idle * processor.seconds) / processor.engine)
            taken["job"].append(seconds)
            time.sleep(RELOAD_SECONDS)
            taken["bare"].append(_bare(job, options.train))
    middle = {
        name: [statistics.median(part) for part in zip(*runs, strict=True)]
        for name, runs in taken.items()
    }
    for name, (whole, training) in middle.items():
        print(f"{name:5} whole {whole:7.1f} s   training {training:7.1f} s")
    ratios = [job / bare for job, bare in zip(middle["job"], middle["bare"], strict=True)]
    print(f"job / bare: whole {ratios[0]:.3f}, training {ratios[1]:.3f}")
    listed = ", ".join(f"{share:.1%}" for share in shares)
    print(f"processor time beside the engine, by the engine's: {listed}; idle {idle:.3f} of a core")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


class Processor(threading.Thread):
    """Seconds of processor time since its start: the working engine's, and all others'."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.engine = self.others = self.seconds = 0.0
        self._over = threading.Event()

    def __enter__(self) -> "Processor":
        self._before = {one.pid: _seconds_of(one) for one in _engines()}
        self._busy_before, self._began_at = _busy_seconds(), time.monotonic()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.5):
            used = [_seconds_of(one) - self._before.get(one.pid, 0.0) for one in _engines()]
            if max(used, default=0.0) >= self.engine:  # The next one loads once this has ended.
                self.engine = max(used, default=0.0)
                self.others = _busy_seconds() - self._busy_before - self.engine
                self.seconds = time.monotonic() - self._began_at


def _engines() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[1:3] == ["-m", "engine"]:
            found.append(process)
    return found


def _seconds_of(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        used = process.cpu_times()
        return float(used.user + used.system)
    return 0.0


def _busy_seconds() -> float:
    """Of the whole machine, without what other machines on it took."""
    used = psutil.cpu_times()
    return float(used.user + used.nice + used.system + used.irq + used.softirq)


def _job(api: httpx.Client, dataset: dict[str, Any]) -> tuple[dict[str, Any], Seconds]:
    body = {"project": dataset["project"], "dataset": dataset["id"], "task": "text-classification"}
    launched = checked(api.post("/api/v1/training-jobs", json=body))
    job = settled(api, f"/api/v1/training-jobs/{launched['id']}", "succeeded")
    started, finished = (datetime.fromisoformat(job[f"{at}_at"]) for at in ("started", "finished"))
    answer = checked(api.get(f"/api/v1/models/{job['model']}/evaluation"))
    report = answer.get("report", answer)
    whole = (finished - started).total_seconds()
    return job, (whole, report["timings"]["training_seconds"])


def _bare(job: dict[str, Any], train: Path) -> Seconds:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(pyarrow.csv.read_csv(train), folder / "data.parquet")
        told = ("text_columns", "target_column", "base_model", "hyperparameters")
        spec = {field: job[field] for field in told} | {
            "data": str(folder / "data.parquet"),
            "output": str(folder / "artifact"),
            "work": str(folder / "work"),
            "nice": True,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        started_at = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "engine", "train", str(folder / "spec.json")],
            cwd=PROJECT,
            env=os.environ | THREAD_ENV,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        whole = time.monotonic() - started_at
        report = json.loads((folder / "artifact/report.json").read_bytes())
        return whole, report["timings"]["training_seconds"]


if __name__ == "__main__":
    main()
