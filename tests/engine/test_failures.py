"""What an exception means: the event that is reported and the exit code of the process."""

import errno

import pytest

from engine import __main__ as command
from engine import catalog, errors
from engine.events import Failure, Reporter, parse_event

PLATFORM, CUSTOMER = "platform", "customer"


def reported(error: BaseException) -> tuple[int, Failure | None]:
    lines: list[str] = []
    code = command._handle_failure(error, Reporter(lines.append))
    return code, parse_event(lines[0]) if lines else None


def caused_by(cause: BaseException, error: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "exit_code", "code", "fault"),
    [
        (ValueError("odd"), errors.EXIT_CRASHED, "internal", PLATFORM),
        (errors.BadTrainingData("few", "s"), errors.EXIT_CUSTOMER_FAULT, "bad_data", CUSTOMER),
        (errors.Diverged("s"), errors.EXIT_CUSTOMER_FAULT, "diverged", CUSTOMER),
        (errors.ExportRefused("s"), errors.EXIT_CUSTOMER_FAULT, "export_refused", CUSTOMER),
        (
            catalog.UnknownBaseModel("s"),
            errors.EXIT_CUSTOMER_FAULT,
            "base_model_unavailable",
            CUSTOMER,
        ),
        (errors.BrokenExport("s"), errors.EXIT_CRASHED, "internal", PLATFORM),
        (
            errors.BaseModelUnavailable("s"),
            errors.EXIT_CRASHED,
            "base_model_unavailable",
            PLATFORM,
        ),
        (errors.OutOfMemory("s"), errors.EXIT_OUT_OF_MEMORY, "out_of_memory", PLATFORM),
        (MemoryError(), errors.EXIT_OUT_OF_MEMORY, "out_of_memory", PLATFORM),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"),
            errors.EXIT_OUT_OF_MEMORY,
            "out_of_memory",
            PLATFORM,
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            errors.EXIT_OUT_OF_MEMORY,
            "out_of_memory",
            PLATFORM,
        ),
        (ValueError("out of memory"), errors.EXIT_CRASHED, "internal", PLATFORM),
        (OSError(errno.ENOSPC, "full"), errors.EXIT_CRASHED, "storage_full", PLATFORM),
        (OSError(errno.EDQUOT, "full"), errors.EXIT_CRASHED, "storage_full", PLATFORM),
        (RuntimeError("I/O error: ENOSPC"), errors.EXIT_CRASHED, "storage_full", PLATFORM),
        (
            caused_by(OSError(errno.ENOSPC, "full"), ValueError("cannot save")),
            errors.EXIT_CRASHED,
            "storage_full",
            PLATFORM,
        ),
        (OSError(errno.EACCES, "denied"), errors.EXIT_CRASHED, "internal", PLATFORM),
    ],
)
def test_each_failure_has_its_code_and_the_right_payer(error, exit_code, code, fault):
    ended_with, failure = reported(error)
    assert ended_with == exit_code
    assert (failure.code, failure.fault) == (code, fault)
    assert failure.sentence


def test_a_sentence_about_a_full_disk_is_not_a_full_disk():
    error = errors.BadTrainingData("odd", "The text 'no space left on device' has no label.")
    assert reported(error)[1].code == "bad_data"


def test_only_bad_data_has_a_detail():
    assert reported(errors.BadTrainingData("too_few_rows", "s"))[1].detail == "too_few_rows"
    assert reported(errors.Diverged("s"))[1].detail is None


def test_a_stop_reports_nothing():
    assert reported(errors.StopRequested()) == (errors.EXIT_STOPPED, None)
    wrapped = caused_by(errors.StopRequested(), ImportError("torch"))
    assert reported(wrapped) == (errors.EXIT_STOPPED, None)


def test_a_lost_peer_is_reported_to_the_launcher_alone(monkeypatch):
    told = []
    monkeypatch.setattr(command.ranks, "is_distributed", lambda: True)
    monkeypatch.setattr(command.ranks, "write_error_file", told.append)
    code, failure = reported(RuntimeError("[gloo] Connection closed by peer"))
    assert (code, failure) == (errors.EXIT_PEER_LOST, None)
    assert "lost touch" in parse_event(told[0]).sentence


def test_exit_codes_are_distinct_and_leave_argparse_its_own():
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert len(codes) == len(set(codes)) == 6
    assert 2 not in codes
