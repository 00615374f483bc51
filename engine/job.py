"""One training job from spec to artifact: prepare, train, export, evaluate, publish.

The same for every task; what differs is behind `engine.tasks.Task`.
"""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine import distributed, tasks
from engine.artifact import Manifest, building_folder, publish, write_json
from engine.evaluation import evaluate, predictions_table
from engine.events import Reporter, Result
from engine.progress import JobClock
from engine.spec import JobSpec
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task

PACKAGES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "scikit-learn", "numpy")


def train(spec: JobSpec, report: Reporter, stop: StopSignal) -> Result | None:
    """Run the whole job; the artifact at spec.output is complete when this returns.

    None in all processes of a job but the first: those only help to train.
    """
    task = tasks.find(spec.task, is_export=spec.export is not None)
    clock = JobClock(report, {"loading": 4, "preparing": 10, "training": 60, "evaluating": 8})
    timings: dict[str, float] = {}
    with _timed(timings, "preparing"):
        prepared = task.prepare(spec, clock, report)
    clock.costs = task.expected_costs(prepared)
    summary = None
    if spec.search is not None:
        with _timed(timings, "searching"):
            prepared, report, summary = _searched(task, prepared, clock, report, stop)
    with _timed(timings, "training"):
        trained = task.fit(prepared, clock, report, stop)
    stop.raise_if_requested()
    if not distributed.is_first():
        return None
    clock.enter("exporting")
    building = building_folder(spec.output)
    with _timed(timings, "exporting"):
        manifest = task.export(prepared, trained, building)
    manifest = manifest.model_copy(update={"versions": versions()})
    if summary is not None:
        manifest.training["search"] = summary
    stop.raise_if_requested()
    clock.enter("evaluating")
    with _timed(timings, "evaluating"):
        evaluated = task.evaluate(prepared, trained, building, manifest)
        result = _report(spec, evaluated)
    stop.raise_if_requested()
    clock.enter("saving")
    predictions = predictions_table(evaluated.given, evaluated.rows)
    pq.write_table(predictions, building / "predictions.parquet")
    result |= _about_the_job(evaluated, manifest, timings)
    write_json(building / "report.json", result)
    publish(building, spec.output, manifest)
    clock.finish()
    return _result(result, spec.output, report)


def _searched(
    task: Task[Any, Any], prepared: Any, clock: JobClock, report: Reporter, stop: StopSignal
) -> tuple[Any, Reporter, dict[str, Any] | None]:
    """What to train with, whom to tell, and what the search found. Trials end by the clock, which
    no two processes read alike: the first one searches alone."""
    from engine.searching import search  # Loads Optuna, which few jobs need.

    found = distributed.only_first(lambda: search(task, prepared, clock, report, stop))
    spec = distributed.from_first(found and found.prepared.spec)
    prepared = replace(prepared, spec=spec)
    return (prepared, found.report, found.summary) if found else (prepared, report, None)


def _result(result: dict[str, Any], output: Path, report: Reporter) -> Result:
    report.info(result["headline"])
    known = (metric for metric in result["metrics"] if metric["value"] is not None)
    headline = {metric["name"]: metric["value"] for metric in known}
    return Result(artifact=str(output), metrics=headline)


def _report(spec: JobSpec, evaluated: Evaluated) -> dict[str, Any]:
    """All that follows from the answers, and what the task itself has to add."""
    given, rows, contenders = evaluated.given, evaluated.rows, evaluated.contenders
    report = evaluate(given, rows, contenders, fair_by=spec.fairness_columns)
    return report | evaluated.checks(report) if evaluated.checks else report


def _about_the_job(
    evaluated: Evaluated, manifest: Manifest, timings: dict[str, float]
) -> dict[str, Any]:
    return {
        "data": evaluated.data,
        "task": manifest.task,
        "evaluated_file": manifest.serving.file,
        "parity": manifest.parity,
        "training": manifest.training,
        "timings": timings,
        "versions": manifest.versions,
    }


@contextmanager
def _timed(timings: dict[str, float], phase: str) -> Iterator[None]:
    started_at = time.monotonic()
    yield
    timings[f"{phase}_seconds"] = time.monotonic() - started_at


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
