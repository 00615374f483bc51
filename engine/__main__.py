"""The command: `python -m engine train SPEC.json` and its sisters. Standard output carries only
JSON lines; everything a library prints goes to standard error.

Exit codes: 0 done, 2 bad usage, 3 the data or settings cannot work, 4 stopped on request,
5 out of memory, 1 anything else; 6 another process of the same job was lost, which
`train --processes` and torchrun's processes tell each other only.
"""

import argparse
import contextlib
import errno
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from engine import ranks
from engine.artifact import read_manifest
from engine.errors import (
    CRASHED,
    CUSTOMER_FAULT,
    DONE,
    OUT_OF_MEMORY,
    PEER_LOST,
    STOPPED,
    BadTrainingData,
    EngineError,
    OutOfMemory,
    PeerLost,
    StopRequested,
    StorageFull,
)
from engine.events import Failure, Phase, Reporter, Result
from engine.patience import PATIENT_THREADS
from engine.spec import TrainingSpec, parse_spec, place_of
from engine.stopping import StopSignal

# For a job of any task: torch, transformers and scikit-learn come along.
WORTH_LOADING = (
    "captum.attr",
    "engine.job",
    *(f"engine.tasks.{task}" for task in ("text", "tabular", "image_classification")),
)
STORAGE_SIGNS = ("no space left on device", "os error 28", "disk quota exceeded", "enospc")
MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    stop = StopSignal()
    stop.listen()
    if getattr(options, "processes", 1) > 1:
        return _launch(options, stop)
    try:
        return _run(options, stop)
    except StopRequested:  # Asked in the very moment that it began to fail.
        return STOPPED


def _run(options: argparse.Namespace, stop: StopSignal) -> int:
    output = _claim_stdout()
    report = Reporter(lambda line: (output.write(line), output.flush()))
    try:
        _quiet_threads(None)
        options.run(options, output, report, stop)
        stop.ignore()  # It is done: nothing is left to stop.
    except StopRequested:
        return STOPPED
    except BaseException as error:
        stop.ignore()
        if _is_stop(error):
            return STOPPED
        return _failed(error, report)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine")
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train, export and evaluate by a spec file")
    train.add_argument("spec", type=Path)
    train.add_argument("--processes", type=int, default=1, help="one for each device, by torchrun")
    train.set_defaults(run=_train)
    wait = commands.add_parser("wait", help="load torch, then train by one order from stdin")
    wait.set_defaults(run=_wait)
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
    analyse.add_argument("request", type=Path, help="JSON, see engine.analysing.AnalysisRequest")
    analyse.set_defaults(run=_analyse)
    predict = commands.add_parser("predict", help="answer the lines of standard input")
    predict.add_argument("artifact", type=Path)
    predict.set_defaults(run=_predict)
    return parser


def _launch(options: argparse.Namespace, stop: StopSignal) -> int:
    """Several processes that do the same; all that is said is said by them, or is why they end."""
    report = Reporter(lambda line: os.write(1, line.encode()))
    try:
        spec = _read_spec(options.spec)
        from engine.launching import launch

        return launch(
            options.spec, stop, processes=options.processes, work=spec.work, threads=spec.threads
        )
    except StopRequested:
        return STOPPED
    except BaseException as error:
        stop.ignore()
        if _is_stop(error):
            return STOPPED
        return _failed(error, report)


def _train(
    options: argparse.Namespace, _output: IO[str], report: Reporter, stop: StopSignal
) -> None:
    if ranks.is_one_of_several():
        ranks.die_with_launcher()
    if not ranks.is_first():
        report = Reporter(lambda _line: None)
    spec = _read_spec(options.spec)
    _quiet_threads(spec.threads)
    report(Phase(phase="loading"))  # Before the imports, which take seconds.
    from engine import distributed
    from engine.job import train

    with distributed.together():
        result: Result | None = train(spec, report, stop)
    if result is not None:
        report(result)


def _wait(options: argparse.Namespace, output: IO[str], report: Reporter, stop: StopSignal) -> None:
    """Do what takes seconds before there is a job: imports. The order is a JSON line with `spec`,
    the spec file, and `log`, the file that takes standard error from then on."""
    for name in WORTH_LOADING:
        importlib.import_module(name)
    line = sys.stdin.readline()
    if not line:  # Whoever would have given it is gone.
        return
    order = json.loads(line)
    with open(order["log"], "ab") as log:
        os.dup2(log.fileno(), 2)
    options.spec = Path(order["spec"])
    _train(options, output, report, stop)


def _evaluate(options: argparse.Namespace, output: IO[str], *_: Any) -> None:
    from engine.prediction import evaluate

    _print(output, evaluate(options.artifact, options.data))


def _export(options: argparse.Namespace, output: IO[str], *_: Any) -> None:
    from engine.prediction import export_again

    _print(output, export_again(options.artifact, options.output, options.data))


def _analyse(options: argparse.Namespace, output: IO[str], *_: Any) -> None:
    from engine.analysing import AnalysisRequest, analyse

    request = AnalysisRequest.model_validate_json(options.request.read_bytes())
    _print(output, analyse(request))


def _predict(options: argparse.Namespace, output: IO[str], *_: Any) -> None:
    from engine.prediction import predict

    is_text = read_manifest(options.artifact).inputs.kind == "text"
    lines = [line.rstrip("\n") for line in sys.stdin]
    rows = lines if is_text else [json.loads(line) for line in lines]
    for answer in predict(options.artifact, rows):
        _print(output, answer)


def _print(output: IO[str], answer: dict[str, Any]) -> None:
    output.write(json.dumps(answer, ensure_ascii=False) + "\n")
    output.flush()


def _read_spec(path: Path) -> TrainingSpec:
    try:
        return parse_spec(json.loads(path.read_bytes()))
    except (OSError, TypeError, json.JSONDecodeError) as error:
        sentence = f"The job's settings cannot be read from {path.name}."
        raise BadTrainingData("bad_spec", sentence) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = place_of(first["loc"]) or "spec"
        sentence = f"The job's settings are wrong: {place}: {first['msg']}."
        raise BadTrainingData("bad_spec", sentence) from error


def _claim_stdout() -> IO[str]:
    """Keep the real standard output for events; point descriptor 1 at standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return events


def _quiet_threads(threads: int | None) -> None:
    """Must run before torch loads: waiting threads soon sleep, so that neighbours keep cores."""
    for name, value in PATIENT_THREADS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if threads:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
            os.environ[name] = str(threads)


def _failed(error: BaseException, report: Reporter) -> int:
    """Tell what happened in one event; then the trace goes to standard error, if it can."""
    code = _tell(error, report)
    with contextlib.suppress(Exception):
        traceback.print_exception(error)
    return code


def _tell(error: BaseException, report: Reporter) -> int:
    if ranks.is_one_of_several():
        report = Reporter(ranks.leave_word)  # The launcher tells what came first.
        error = _blaming_others(error)
    if _is_memory(error):
        error = OutOfMemory(
            "There was not enough memory for this batch size. Lower the tokens per batch or the"
            " longest text, or choose a larger machine."
        )
    elif _is_storage(error):
        error = StorageFull("There was no room left to write on the machine. You were not charged.")
    if not isinstance(error, EngineError):
        sentence = "The training stopped on an unexpected error. You were not charged."
        report(Failure(code="internal", sentence=sentence, fault="platform"))
        return CRASHED
    detail = getattr(error, "detail", None)
    report(Failure(code=error.code, sentence=error.sentence, fault=error.fault, detail=detail))
    return _exit_code(error)


def _blaming_others(error: BaseException) -> BaseException:
    from engine.distributed import is_loss_of_others

    if not is_loss_of_others(error):
        return error
    return PeerLost("The processes of this job lost touch with each other. You were not charged.")


def _exit_code(error: EngineError) -> int:
    if isinstance(error, PeerLost):
        return PEER_LOST
    if error.code == "out_of_memory":
        return OUT_OF_MEMORY
    return CUSTOMER_FAULT if error.fault == "customer" else CRASHED


def _is_stop(error: BaseException | None) -> bool:
    """Libraries wrap what interrupts their imports into errors of their own. Any other failure,
    even beside a stop, is told as what it is: its lost work must not be paid for."""
    while error is not None and not isinstance(error, StopRequested):
        error = error.__cause__ or error.__context__
    return error is not None


def _is_storage(error: BaseException | None) -> bool:
    """Also of libraries that say so only in words, and of what such an error led to."""
    while error is not None:
        text = str(error).casefold()
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if not isinstance(error, EngineError) and any(sign in text for sign in STORAGE_SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_memory(error: BaseException) -> bool:
    """Also torch's, which come as RuntimeError (CPU) or its subclass (CUDA)."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).casefold()
    return isinstance(error, RuntimeError) and any(sign in text for sign in MEMORY_SIGNS)


if __name__ == "__main__":
    # No interpreter shutdown: thread pools of native libraries may crash in it, after the result.
    code = main()
    with contextlib.suppress(Exception):  # The code alone tells how it ended.
        sys.stderr.flush()
    os._exit(code)
