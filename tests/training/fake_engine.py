"""An engine that trains nothing: events, checkpoints, artifacts and exit codes like the real one.

`use` makes this process start it instead of `python -m engine`. An epoch takes a tenth of a second.
The seed of the hyperparameters chooses how it ends; the checkpoint holds the step, and the trials
of a search that are over.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from engine import events
from engine.errors import EXIT_CUSTOMER_FAULT, EXIT_OK, EXIT_OUT_OF_MEMORY, EXIT_STOPPED

BAD_DATA, OUT_OF_MEMORY, CRASH, STUBBORN = 901, 902, 903, 904
STEPS_PER_EPOCH, STEP_SECONDS = 10, 0.01
LABELS = ["card", "transfer"]
is_stopping = False


def use() -> None:
    """In a trainer: start this script as the engine."""
    from training.worker import engine_process

    engine_process.ENGINE_COMMAND = (sys.executable, "-m", "tests.training.fake_engine")


def say(event: events.Event) -> None:
    print(event.model_dump_json(), flush=True)


def save_checkpoint(spec: dict, step: int, trials: list[int]) -> None:
    folder = Path(spec["work"]) / "checkpoints" / f"{step:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"step": step, "trials": trials}))
    epoch = step // STEPS_PER_EPOCH
    say(events.CheckpointSaved(step=step, epoch=epoch, path=str(folder), metrics={}, best=False))


def refuse(code: str, sentence: str) -> int:
    say(events.Failure(code=code, sentence=sentence, fault="customer"))
    return EXIT_CUSTOMER_FAULT


def train(spec: dict) -> int:
    seed, export = spec["hyperparameters"]["seed"], spec.get("export")
    say(events.PhaseStarted(phase="loading"))
    if seed == BAD_DATA:
        return refuse("bad_data", "Every row of this data has a label of its own.")
    if seed == OUT_OF_MEMORY:
        return EXIT_OUT_OF_MEMORY
    if export and export["keep"] < 0.2:
        return refuse("export_refused", "It answers worse by more than was allowed.")
    data = {"train_rows": 8, "validation_rows": 1, "test_rows": 1, "labels": LABELS, "warnings": []}
    say(events.DatasetLoaded(**data))
    say(events.PhaseStarted(phase="training"))
    if seed == CRASH:
        print("Traceback: a library broke", file=sys.stderr, flush=True)
        os._exit(1)
    saved = {"step": 0, "trials": []}
    if spec.get("resume_from"):
        saved = json.loads((Path(spec["resume_from"]) / "manifest.json").read_text())
    run_trials(spec, saved["trials"])
    if not run_steps(spec, saved):
        return EXIT_STOPPED
    write_artifact(spec, saved["trials"])
    return EXIT_OK


def run_trials(spec: dict, finished: list[int]) -> None:
    for number in range((spec.get("search") or {}).get("trials", 0)):
        if number in finished:
            continue
        score = {"score_name": "validation_macro_f1", "score": 1 / (number + 1)}
        for state in ("running", "finished"):
            facts = {"parameters": {"learning_rate": 0.1}, "is_best": number == 0, **score}
            say(events.TrialUpdated(number=number, state=state, **facts))
            time.sleep(STEP_SECONDS * STEPS_PER_EPOCH)
        finished.append(number)
        save_checkpoint(spec, len(finished), finished)


def run_steps(spec: dict, saved: dict) -> bool:
    """False when it was asked to stop."""
    epochs = spec["hyperparameters"]["epochs"] or 2
    total, saved_at = epochs * STEPS_PER_EPOCH, time.monotonic()
    for step in range(saved["step"] + 1, total + 1):
        time.sleep(STEP_SECONDS)
        epoch = step // STEPS_PER_EPOCH
        say(events.Metric(name="train_loss", step=step, epoch=epoch, value=1 / step))
        progress = {"step": step, "total_steps": total, "fraction": step / total}
        say(events.Progress(epoch=epoch, epochs=epochs, eta_seconds=1.0, **progress))
        if is_stopping or time.monotonic() - saved_at >= spec["checkpoint_seconds"]:
            save_checkpoint(spec, step, saved["trials"])
            saved_at = time.monotonic()
        if is_stopping:
            return False
    return True


def write_artifact(spec: dict, trials: list[int]) -> None:
    from engine.artifact import Inputs, Manifest, Serving, Target

    folder = Path(spec["output"])
    folder.mkdir(parents=True)
    sides = {"bytes": 1000, "parameters": 100}, {"bytes": 500, "parameters": 50}
    card = dict(zip(("source", "made"), sides, strict=True)) | {"sentence": "Half as large."}
    report = {"verdict": "unknown", "headline": "Tested.", "metrics": [], "card": card}
    (folder / "report.json").write_text(json.dumps(report))
    manifest = Manifest(
        **{name: spec[name] for name in ("task", "base_model")},
        labels=LABELS,
        inputs=Inputs(kind="text"),
        target=Target(kind="label"),
        serving=Serving(file="model.onnx"),
        training={"search": {"winner": 0}} if trials else {},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    say(events.Result(artifact=str(folder), metrics={"accuracy": 0.5}))


def request_stop(*_: object) -> None:
    global is_stopping
    is_stopping = True


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "wait":
        order = json.loads(sys.stdin.readline())
        os.dup2(os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        arguments = [order["spec"]]
    spec = json.loads(Path(arguments[0]).read_text())
    ignored = spec["hyperparameters"]["seed"] == STUBBORN
    signal.signal(signal.SIGTERM, signal.SIG_IGN if ignored else request_stop)
    sys.exit(train(spec))
