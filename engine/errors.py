"""Everything that can stop the engine on purpose: a code for machines, a sentence for people."""

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


# The engine's exit codes.
DONE, CRASHED, CUSTOMER_FAULT, STOPPED, OUT_OF_MEMORY, PEER_LOST = 0, 1, 3, 4, 5, 6


class EngineError(Exception):
    """A failure with a known cause. `fault` decides who pays for the time spent."""

    code: ErrorCode = "internal"
    fault: Fault = "platform"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


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


class StorageFull(EngineError):
    """No room is left where the engine writes."""

    code = "storage_full"


class BrokenExport(EngineError):
    """The exported file does not compute what the trained model computes."""


class ExportRefused(EngineError):
    """A smaller form of a model was made and is not worth having; the work was done."""

    code = "export_refused"
    fault = "customer"


class BrokenArtifact(EngineError):
    """An artifact folder is missing, incomplete or altered."""


class PeerLost(EngineError):
    """Another process of the same job ended or could not be reached."""


class StopRequested(BaseException):
    """The supervisor asked us to leave. Not an Exception, so that no library swallows it."""
