"""How a training process says why it ends, and which of several the launcher believes."""

import json
import os
import signal
import sys

import pytest
from torch.distributed.elastic.multiprocessing import ProcessFailure

from engine import __main__ as command
from engine.distributed import launcher, ranks
from engine.errors import EXIT_CRASHED, EXIT_CUSTOMER_FAULT, EXIT_PEER_LOST, EXIT_STOPPED
from engine.events import Reporter, parse_event
from engine.stop_signal import StopSignal

LOST = RuntimeError("[../gloo/transport/tcp/pair.cc:542] Connection reset by peer")
KILLED, TERMINATED, ABORTED = -signal.SIGKILL, -signal.SIGTERM, -signal.SIGABRT


@pytest.fixture
def listening():
    """As the engine's command listens; the handler of before is put back."""
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignal()
    stop.install_handler()
    yield stop
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def word_file(tmp_path, monkeypatch):
    """Where torchrun has the second of two processes say why it fails."""
    path = tmp_path / "error.json"
    told = {"TORCHELASTIC_RUN_ID": "one", "WORLD_SIZE": "2", "RANK": "1"}
    for name, value in (told | {"TORCHELASTIC_ERROR_FILE": str(path)}).items():
        monkeypatch.setenv(name, value)
    return path


class StoppedWhilePrinting:
    """A standard error in whose midst the signal comes."""

    def write(self, _text: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def flush(self) -> None:
        pass


class Unwritable(StoppedWhilePrinting):
    def write(self, _text: str) -> None:
        raise BrokenPipeError


def failing_with(error, monkeypatch, listening) -> int:
    """The exit code of a command whose work raises this."""

    def work(*_) -> None:
        raise error

    monkeypatch.setattr(command, "_redirect_stdout", lambda: sys.__stdout__)
    return command._run(command.argparse.Namespace(run=work), listening)


def test_a_stop_does_not_interrupt_the_telling(monkeypatch, listening, word_file):
    monkeypatch.setattr(sys, "stderr", StoppedWhilePrinting())
    assert failing_with(LOST, monkeypatch, listening) == EXIT_PEER_LOST
    word = json.loads(word_file.read_text())
    assert parse_event(word["message"]).sentence.startswith("The processes of this job lost touch")


def test_a_stop_while_the_word_is_written_leaves_it_whole(monkeypatch, listening, word_file):
    written = ranks.write_error_file

    def stopped_and_written(word: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        written(word)

    monkeypatch.setattr(ranks, "write_error_file", stopped_and_written)
    assert failing_with(ValueError("odd"), monkeypatch, listening) == EXIT_CRASHED
    assert parse_event(json.loads(word_file.read_text())["message"]).code == "internal"


def test_a_trace_that_cannot_be_printed_changes_nothing(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "stderr", Unwritable())
    assert command._handle_failure(ValueError("odd"), Reporter(told.append)) == EXIT_CRASHED
    assert parse_event(told[0]).code == "internal"


def test_a_stop_after_the_work_is_done_changes_nothing(monkeypatch, listening):
    monkeypatch.setattr(command, "_redirect_stdout", lambda: sys.__stdout__)
    assert command._run(command.argparse.Namespace(run=lambda *_: None), listening) == 0
    os.kill(os.getpid(), signal.SIGTERM)


def ended(rank: int, exitcode: int, tmp_path, *, word: str = "", after: int = 0) -> ProcessFailure:
    """As torchrun tells of it: with the word that it left, and when."""
    path = tmp_path / f"{rank}.json"
    if word:
        path.write_text(json.dumps({"message": word, "timestamp": 0}))
    failure = ProcessFailure(local_rank=rank, pid=rank, exitcode=exitcode, error_file=str(path))
    failure.timestamp = 1_000_000 + after
    return failure


WORD = '{"event":"error","code":"internal","sentence":"Odd.","fault":"platform"}\n'


@pytest.mark.parametrize(
    ("cause", "other"),
    [
        # (exit code, its word, seconds after the first sign of trouble)
        ((KILLED, "", 0), (EXIT_CRASHED, "", 0)),  # Interrupted before it could say what it lost.
        ((KILLED, "", 1), (EXIT_CRASHED, WORD, 0)),
        ((KILLED, "", 1), (EXIT_PEER_LOST, WORD, 0)),
        ((KILLED, "", 1), (EXIT_STOPPED, "", 0)),
        ((EXIT_CUSTOMER_FAULT, WORD, 0), (TERMINATED, "", 1)),
        ((EXIT_CUSTOMER_FAULT, WORD, 0), (KILLED, "", 30)),  # By torchrun: it would not leave.
        ((EXIT_CRASHED, "", 0), (KILLED, "", 30)),
        ((EXIT_CRASHED, WORD, 1), (ABORTED, "", 0)),  # As NCCL does when the others are gone.
        ((ABORTED, "", 1), (EXIT_CRASHED, "", 0)),
        ((EXIT_CRASHED, WORD, 0), (EXIT_CRASHED, WORD, 1)),
        ((EXIT_STOPPED, "", 1), (EXIT_PEER_LOST, WORD, 0)),
    ],
)
@pytest.mark.parametrize("is_swapped", [False, True])
def test_the_launcher_finds_the_cause(cause, other, is_swapped, tmp_path):
    ranks_of_two = (1, 0) if is_swapped else (0, 1)
    failures = [
        ended(rank, code, tmp_path, word=word, after=after)
        for rank, (code, word, after) in zip(ranks_of_two, (cause, other), strict=True)
    ]
    found = launcher._find_root_cause(sorted(failures, key=lambda one: one.local_rank))
    assert (found.exitcode, found.timestamp - 1_000_000) == (cause[0], cause[2])


def test_a_failure_beside_a_stop_is_told_as_what_it_is(tmp_path, monkeypatch, listening):
    def failing(*_: object) -> None:
        listening.requested = True
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_train", failing)
    monkeypatch.setattr(command, "_redirect_stdout", lambda: sys.stderr)
    assert command.main(["train", str(tmp_path / "spec.json")]) == EXIT_CRASHED


def test_a_stop_that_a_library_wraps_into_its_own_error_is_a_stop(tmp_path, monkeypatch, listening):
    def interrupted(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as stopped:
            raise ImportError("a module could not be imported") from stopped

    monkeypatch.setattr(command, "_train", interrupted)
    monkeypatch.setattr(command, "_redirect_stdout", lambda: sys.stderr)
    assert command.main(["train", str(tmp_path / "spec.json")]) == EXIT_STOPPED
