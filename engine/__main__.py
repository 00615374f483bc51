"""The command line: `python -m engine train SPEC.json` and its other subcommands.

Standard output carries only JSON lines; everything a library prints goes to standard error.
Exit codes are those of `engine.errors`, and argparse's 2 for wrong usage.
"""

import argparse
import contextlib
import errno
import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from engine.artifact import read_manifest
from engine.distributed import ranks
from engine.errors import (
    EXIT_CRASHED,
    EXIT_OK,
    EXIT_STOPPED,
    BadTrainingData,
    EngineError,
    OutOfMemory,
    PeerLost,
    StopRequested,
    StorageFull,
)
from engine.events import Failure, PhaseStarted, Reporter, Result
from engine.spec import TrainingSpec, error_field, parse_spec
from engine.spec.problems import problem_sentence
from engine.stop_signal import StopSignal
from engine.thread_env import THREAD_ENV

# For a job of any task: torch, transformers and scikit-learn come along.
PRELOADED_MODULES = (
    "captum.attr",
    "engine.pipeline",
    "engine.tasks.text.task",
    "engine.tasks.tabular.task",
    "engine.tasks.image.task",
)
DISK_FULL_MESSAGES = ("no space left on device", "os error 28", "disk quota exceeded", "enospc")
OUT_OF_MEMORY_MESSAGES = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
)


def main(arguments: list[str] | None = None) -> int:
    options = _build_parser().parse_args(arguments)
    stop = StopSignal()
    stop.install_handler()
    if getattr(options, "processes", 1) > 1:
        return _launch_processes(options, stop)
    try:
        return _run(options, stop)
    except StopRequested:  # The signal came while a failure was being handled.
        return EXIT_STOPPED


def _run(options: argparse.Namespace, stop: StopSignal) -> int:
    output = _redirect_stdout()
    report = Reporter(lambda line: (output.write(line), output.flush()))
    try:
        _set_thread_env(None)
        options.run(options, output, report, stop)
        stop.ignore()
    except BaseException as error:
        stop.ignore()
        return _handle_failure(error, report)
    return EXIT_OK


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine")
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train, export and evaluate by a spec file")
    train.add_argument("spec", type=Path)
    train.add_argument("--processes", type=int, default=1, help="one for each device, by torchrun")
    train.set_defaults(run=_train)
    wait = commands.add_parser("wait", help="load torch, then train by one order from stdin")
    wait.set_defaults(run=_train_prewarmed)
    inspect = commands.add_parser("inspect", help="say what a job would read of its data")
    inspect.add_argument("spec", type=Path)
    inspect.set_defaults(run=_inspect)
    evaluate = commands.add_parser("evaluate", help="measure an artifact on a Parquet file")
    evaluate.add_argument("artifact", type=Path)
    evaluate.add_argument("data", type=Path)
    evaluate.set_defaults(run=_evaluate)
    export = commands.add_parser("export", help="write and check an artifact's ONNX files again")
    export.add_argument("artifact", type=Path)
    export.add_argument("data", type=Path, help="Parquet with labelled rows to compare on")
    export.add_argument("output", type=Path)
    export.set_defaults(run=_export)
    analyse = commands.add_parser("analyse", help="answer a question about a finished model")
    analyse.add_argument(
        "request", type=Path, help="JSON, see engine.analysis.on_demand.AnalysisRequest"
    )
    analyse.set_defaults(run=_analyse)
    predict = commands.add_parser("predict", help="answer the lines of standard input")
    predict.add_argument("artifact", type=Path)
    predict.set_defaults(run=_predict)
    return parser


def _launch_processes(options: argparse.Namespace, stop: StopSignal) -> int:
    """Run the job in several processes. They write all events but the one of a failure, which this
    process writes for them."""
    report = Reporter(lambda line: os.write(1, line.encode()))
    try:
        spec = _read_spec(options.spec)
        from engine.distributed.launcher import launch_processes

        return launch_processes(
            options.spec, stop, processes=options.processes, work=spec.work, threads=spec.threads
        )
    except BaseException as error:
        stop.ignore()
        return _handle_failure(error, report)


def _train(
    options: argparse.Namespace, _output: IO[str], report: Reporter, stop: StopSignal
) -> None:
    if ranks.is_distributed():
        ranks.set_parent_death_signal()
    if not ranks.is_rank0():
        report = Reporter(lambda _line: None)
    spec = _read_spec(options.spec)
    _set_thread_env(spec.threads)
    report(PhaseStarted(phase="loading"))  # Before the imports, which take seconds.
    from engine.distributed import collectives
    from engine.pipeline import run_job

    with collectives.process_group():
        result: Result | None = run_job(spec, report, stop)
    if result is not None:
        report(result)


def _train_prewarmed(
    options: argparse.Namespace, output: IO[str], report: Reporter, stop: StopSignal
) -> None:
    """Import everything before there is a job, then train by one line of standard input: JSON with
    `spec`, the spec file, and `log`, the file that takes standard error from then on."""
    for name in PRELOADED_MODULES:
        importlib.import_module(name)
    line = sys.stdin.readline()
    if not line:  # The supervisor closed the pipe without a job.
        return
    order = json.loads(line)
    with open(order["log"], "ab") as log:
        os.dup2(log.fileno(), 2)
    options.spec = Path(order["spec"])
    _train(options, output, report, stop)


def _evaluate(options: argparse.Namespace, output: IO[str], *_: object) -> None:
    from engine.prediction import evaluate_artifact

    _write_json_line(output, evaluate_artifact(options.artifact, options.data))


def _export(options: argparse.Namespace, output: IO[str], *_: object) -> None:
    from engine.prediction import reexport_onnx

    _write_json_line(output, reexport_onnx(options.artifact, options.output, options.data))


def _analyse(options: argparse.Namespace, output: IO[str], *_: object) -> None:
    from engine.analysis.on_demand import AnalysisRequest, analyse

    request = AnalysisRequest.model_validate_json(options.request.read_bytes())
    _write_json_line(output, analyse(request))


def _predict(options: argparse.Namespace, output: IO[str], *_: object) -> None:
    from engine.prediction import predict

    is_text = read_manifest(options.artifact).inputs.kind == "text"
    lines = [line.rstrip("\n") for line in sys.stdin]
    rows = lines if is_text else [json.loads(line) for line in lines]
    for answer in predict(options.artifact, rows):
        _write_json_line(output, answer)


def _write_json_line(output: IO[str], content: Mapping[str, object]) -> None:
    output.write(json.dumps(content, ensure_ascii=False) + "\n")
    output.flush()


def _inspect(
    options: argparse.Namespace, output: IO[str], report: Reporter, stop: StopSignal
) -> None:
    from engine.tasks.inspection import inspect_data

    output.write(inspect_data(_read_spec(options.spec)).model_dump_json())
    output.flush()


def _read_spec(path: Path) -> TrainingSpec:
    try:
        return parse_spec(json.loads(path.read_bytes()))
    except (OSError, TypeError, json.JSONDecodeError) as error:
        sentence = f"The job's settings cannot be read from {path.name}."
        raise BadTrainingData("bad_spec", sentence) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = error_field(first["loc"]) or "spec"
        sentence = f"The job's settings are wrong: {place}: {problem_sentence(first)}"
        raise BadTrainingData("bad_spec", sentence) from error


def _redirect_stdout() -> IO[str]:
    """Keep the real standard output for events; point descriptor 1 at standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return events


def _set_thread_env(threads: int | None) -> None:
    """Must run before torch loads: waiting threads soon sleep, so that neighbours keep cores."""
    for name, value in THREAD_ENV.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if threads:
        for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
            os.environ[name] = str(threads)


def _handle_failure(error: BaseException, report: Reporter) -> int:
    """Report the failure in one event, print its traceback if possible, return the exit code."""
    if _is_stop_request(error):
        return EXIT_STOPPED
    code = _report_failure(error, report)
    with contextlib.suppress(Exception):
        traceback.print_exception(error)
    return code


def _is_stop_request(error: BaseException | None) -> bool:
    """Whether the stop signal caused this: libraries wrap what interrupts their imports into errors
    of their own. A failure that merely happens beside a stop is a failure: nobody pays for it."""
    while error is not None and not isinstance(error, StopRequested):
        error = error.__cause__ or error.__context__
    return error is not None


def _report_failure(error: BaseException, report: Reporter) -> int:
    if ranks.is_distributed():
        from engine.distributed.collectives import is_peer_loss

        report = Reporter(ranks.write_error_file)  # The launcher reports the first cause.
        if is_peer_loss(error):
            error = PeerLost(
                "The processes of this job lost touch with each other. You were not charged."
            )
    if _is_out_of_memory(error):
        error = OutOfMemory(
            "There was not enough memory for this batch size. Lower the tokens per batch or the"
            " longest text, or choose a larger machine."
        )
    elif _is_disk_full(error):
        error = StorageFull("There was no room left to write on the machine. You were not charged.")
    if not isinstance(error, EngineError):
        sentence = "The training stopped on an unexpected error. You were not charged."
        report(Failure(code="internal", sentence=sentence, fault="platform"))
        return EXIT_CRASHED
    detail = error.detail if isinstance(error, BadTrainingData) else None
    report(Failure(code=error.code, sentence=error.sentence, fault=error.fault, detail=detail))
    return error.exit_code


def _is_disk_full(error: BaseException | None) -> bool:
    """Also for libraries that say so only in their message, and for errors that it caused."""
    while error is not None:
        text = str(error).casefold()
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if not isinstance(error, EngineError) and any(sign in text for sign in DISK_FULL_MESSAGES):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_out_of_memory(error: BaseException) -> bool:
    """Also for torch's errors, which are RuntimeError (CPU) or its subclass (CUDA)."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).casefold()
    return isinstance(error, RuntimeError) and any(sign in text for sign in OUT_OF_MEMORY_MESSAGES)


if __name__ == "__main__":
    # No interpreter shutdown: thread pools of native libraries may crash in it, after the result.
    code = main()
    with contextlib.suppress(Exception):  # The exit code must not depend on standard error.
        sys.stderr.flush()
    os._exit(code)
