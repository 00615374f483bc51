"""Every failure with a known cause: a code for machines, a sentence for people, an exit code."""

from typing import Literal

Fault = Literal["customer", "platform"]
ErrorCode = Literal[
    "bad_data",
    "out_of_memory",
    "diverged",
    "base_model_unavailable",
    "storage_full",
    "export_refused",
    "internal",
]

# Exit codes of `python -m engine`; argparse takes 2.
EXIT_OK = 0
EXIT_CRASHED = 1
EXIT_CUSTOMER_FAULT = 3  # The data or the settings cannot work.
EXIT_STOPPED = 4  # On request.
EXIT_OUT_OF_MEMORY = 5
EXIT_PEER_LOST = 6  # Only between the processes of one job, never to the supervisor.


class EngineError(Exception):
    """A failure with a known cause. `fault` decides who pays for the time spent."""

    code: ErrorCode = "internal"
    fault: Fault = "platform"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    @property
    def exit_code(self) -> int:
        """What the engine's process ends with after this failure."""
        return EXIT_CUSTOMER_FAULT if self.fault == "customer" else EXIT_CRASHED


class BadTrainingData(EngineError):
    """What the customer can fix in the data or its mapping; `detail` names the problem."""

    code = "bad_data"
    fault = "customer"

    def __init__(self, detail: str, sentence: str) -> None:
        super().__init__(sentence)
        self.detail = detail


class Diverged(EngineError):
    """The loss is no longer a number: the learning rate is too high for this data."""

    code = "diverged"
    fault = "customer"


class BaseModelUnavailable(EngineError):
    """The base model could not be fetched or read."""

    code = "base_model_unavailable"


class OutOfMemory(EngineError):
    """The device or the machine has no memory left for this batch size."""

    code = "out_of_memory"

    @property
    def exit_code(self) -> int:
        return EXIT_OUT_OF_MEMORY


class StorageFull(EngineError):
    """No room is left where the engine writes."""

    code = "storage_full"


class BrokenExport(EngineError):
    """The exported file does not compute what the trained model computes."""


class ExportRefused(EngineError):
    """A smaller form of a model was made but is too much worse, or neither smaller nor faster."""

    code = "export_refused"
    fault = "customer"


class BrokenArtifact(EngineError):
    """An artifact folder is missing, incomplete or altered."""


class PeerLost(EngineError):
    """Another process of the same job ended or could not be reached."""

    @property
    def exit_code(self) -> int:
        return EXIT_PEER_LOST


class StopRequested(BaseException):
    """The supervisor sent SIGTERM. Not an Exception, so that no library swallows it."""
