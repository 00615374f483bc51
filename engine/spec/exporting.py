"""What an export job is told: which smaller or quicker form to make of a finished model."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from engine.spec.frozen import Frozen

ExportFormat = Literal["onnx", "onnx-int8", "pruned", "distilled"]
UNCHANGED: tuple[ExportFormat, ...] = ("onnx", "onnx-int8")  # The network stays what it was.
FORMATS: dict[str, tuple[ExportFormat, ...]] = {
    "text-classification": get_args(ExportFormat),
    "text-regression": get_args(ExportFormat),
    "tabular-classification": ("distilled",),
    "tabular-regression": ("distilled",),
}


class ExportSpec(Frozen):
    """A finished model in another form, refused when it answers too much worse."""

    format: ExportFormat = Field(
        title="Form",
        description=(
            "onnx: the full-precision file. onnx-int8: four times smaller, answers must agree."
            " pruned: neurons that matter least are removed, then it recovers. distilled: a"
            " student with fewer layers, or one network for a table, learns the model's answers."
        ),
    )
    source: Path = Field(default=Path("source"), description="Artifact folder of the model.")
    keep: float = Field(
        default=0.5,
        ge=0.1,
        le=0.95,
        title="Neurons kept",
        description="Share of the feed-forward neurons of every layer that pruning keeps.",
    )
    layers: int = Field(
        default=0,
        ge=0,
        le=96,
        title="Layers",
        description="Layers of the student, spread over the model's. 0: half of them.",
    )
    epochs: int = Field(
        default=3,
        ge=1,
        le=100,
        title="Epochs",
        description="Passes over the training rows to recover or to learn from the model.",
    )
    largest_loss: float = Field(
        default=0.02,
        ge=0,
        le=0.5,
        title="Largest loss",
        description=(
            "Refuse it when it is worse by more than this on the test rows: in accuracy or F1, or"
            " as a share of a number's error."
        ),
    )
