"""One training job from spec to artifact: prepare, train, export, evaluate, publish.

The same for every task; what differs is behind `engine.tasks.Task`.
"""

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from engine import tasks
from engine.analysis.fairness import assess_fairness
from engine.artifact import Manifest, create_build_folder, publish, write_json
from engine.distributed import collectives
from engine.evaluation import (
    PREDICTIONS_FILE,
    CrossValidated,
    Report,
    build_report,
    cross_validate,
    predictions_table,
)
from engine.evaluation.cross_validation import explain_few_rows
from engine.events import Reporter, Result
from engine.metrics import GenerationPredictions
from engine.progress import ProgressTracker
from engine.spec import JobSpec
from engine.stop_signal import StopSignal
from engine.tasks import EvaluationResult, Task

RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "numpy",
)


def run_job(spec: JobSpec, report: Reporter, stop: StopSignal) -> Result | None:
    """Run the whole job; the artifact at spec.output is complete when this returns.

    Of several processes only the first returns a result: the others only help to train.
    """
    task = tasks.load_task(spec.task, is_export=spec.export is not None)
    progress = ProgressTracker(
        report, {"loading": 4, "preparing": 10, "training": 60, "evaluating": 8}
    )
    timings: dict[str, float] = {}
    search_summary = None
    with _record_duration(timings, "preparing"):
        prepared = task.prepare(spec, progress, report)
    progress.phase_seconds = task.estimate_phase_seconds(prepared)
    if spec.search is not None:
        with _record_duration(timings, "searching"):
            prepared, report, search_summary = _run_search(task, prepared, progress, report, stop)
    with _record_duration(timings, "training"):
        trained = task.fit(prepared, progress, report, stop)
    stop.raise_if_requested()
    if not collectives.is_rank0():
        return None
    progress.start_phase("exporting")
    folder = create_build_folder(spec.output)
    with _record_duration(timings, "exporting"):
        manifest = task.export(prepared, trained, folder)
    manifest = manifest.model_copy(update={"versions": package_versions()})
    if search_summary is not None:
        manifest.training["search"] = search_summary
    stop.raise_if_requested()
    progress.start_phase("evaluating")
    with _record_duration(timings, "evaluating"):
        evaluated = task.evaluate(prepared, trained, folder, manifest)
        crossed = _cross_validate(evaluated, progress, stop)
        evaluation_report = _make_evaluation_report(spec, evaluated, crossed)
    stop.raise_if_requested()
    progress.start_phase("saving")
    _write_results(folder, evaluation_report, evaluated, manifest, timings)
    publish(folder, spec.output, manifest)
    progress.finish()
    report.info(evaluation_report["headline"])
    measured = ((one["name"], one["value"]) for one in evaluation_report["metrics"])
    known = {name: value for name, value in measured if value is not None}
    return Result(artifact=str(spec.output), metrics=known)


def _run_search(
    task: Task[Any, Any],
    prepared: Any,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> tuple[Any, Reporter, Mapping[str, object] | None]:
    """The rows with the best settings, the reporter of the final training, and the search's
    summary. Trials end by the clock, which differs between processes: the first searches alone."""
    from engine.hpo.search import search_hyperparameters  # Loads Optuna, which few jobs need.

    result = collectives.run_on_rank0(
        lambda: search_hyperparameters(task, prepared, progress, report, stop)
    )
    spec = collectives.broadcast_from_rank0(result and result.prepared.spec)
    prepared = replace(prepared, spec=spec)
    return (prepared, result.report, result.summary) if result else (prepared, report, None)


def _cross_validate(
    evaluated: EvaluationResult, progress: ProgressTracker, stop: StopSignal
) -> CrossValidated | None:
    """One process does it: the others of several ended with the training."""
    if evaluated.refit is None or collectives.world_size() > 1:
        return None
    progress.start_phase("cross-validating")
    return cross_validate(
        evaluated.refit, evaluated.predictions, evaluated.contenders, progress.advance, stop
    )


def _make_evaluation_report(
    spec: JobSpec, evaluated: EvaluationResult, crossed: CrossValidated | None
) -> Report:
    """All that follows from the answers, and the sections that only this task has."""
    predictions, rows = evaluated.predictions, evaluated.rows
    report = build_report(predictions, rows, evaluated.contenders, crossed)
    few = explain_few_rows(evaluated.refit, len(rows.source_rows)) if crossed is None else ""
    report["notes"] += [few] if few else []
    if spec.fairness_columns and not isinstance(predictions, GenerationPredictions):
        report["fairness"] = [
            assess_fairness(predictions, name, rows.columns[name], rows.label_names)
            for name in spec.fairness_columns
        ]
    if evaluated.build_extra_sections:
        report.update(cast("Report", evaluated.build_extra_sections(report)))
    return report


def _write_results(
    folder: Path,
    evaluation_report: Report,
    evaluated: EvaluationResult,
    manifest: Manifest,
    timings: dict[str, float],
) -> None:
    """The answers to the test rows, and the job's report: the evaluation, and how the model came
    about."""
    predictions = predictions_table(evaluated.predictions, evaluated.rows)
    pq.write_table(predictions, folder / PREDICTIONS_FILE)
    about_the_job = {
        "data": evaluated.data,
        "task": manifest.task,
        "evaluated_file": manifest.parity.get("served", manifest.serving.file),
        "parity": manifest.parity,
        "training": manifest.training,
        "timings": timings,
        "versions": manifest.versions,
    }
    write_json(folder / "report.json", {**evaluation_report, **about_the_job})


@contextmanager
def _record_duration(timings: dict[str, float], phase: str) -> Iterator[None]:
    started_at = time.monotonic()
    yield
    timings[f"{phase}_seconds"] = time.monotonic() - started_at


def package_versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: version(name) for name in RECORDED_PACKAGES
    }
