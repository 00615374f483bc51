"""The spec of an export job: which smaller or quicker form to make of a finished model."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from engine.spec.frozen import FrozenModel

ExportFormat = Literal[
    "onnx", "onnx-int8", "pruned", "distilled", "safetensors", "safetensors-bf16"
]
# The network stays what it was; only the files change.
FILE_ONLY_FORMATS: tuple[ExportFormat, ...] = (
    "onnx",
    "onnx-int8",
    "safetensors",
    "safetensors-bf16",
)
TEXT_FORMATS: tuple[ExportFormat, ...] = (
    "onnx", "onnx-int8", "pruned", "distilled", "safetensors",
)  # fmt: skip
FORMATS_BY_TASK: dict[str, tuple[ExportFormat, ...]] = {
    "text-classification": TEXT_FORMATS,
    "text-regression": TEXT_FORMATS,
    "tabular-classification": ("distilled",),
    "tabular-regression": ("distilled",),
    "image-classification": ("onnx", "onnx-int8"),
    "text-generation": ("safetensors", "safetensors-bf16"),
}
FORMAT_DESCRIPTIONS: dict[ExportFormat, str] = {
    "onnx": "the full-precision file.",
    "onnx-int8": "up to four times smaller, answers must agree.",
    "pruned": "neurons and attention heads that matter least are removed, then it recovers.",
    "distilled": "a student, with fewer layers or one network for a table, learns the answers.",
    "safetensors": "a folder that transformers opens, adapters merged in.",
    "safetensors-bf16": "the same at half the size.",
}
# The options of each task's forms; all of them where none are named.
ALL_OPTIONS = ("keep", "keep_heads", "layers", "epochs", "largest_loss")
OPTIONS_BY_TASK: dict[str, tuple[str, ...]] = {
    "tabular-classification": ("epochs", "largest_loss"),
    "tabular-regression": ("epochs", "largest_loss"),
    "image-classification": ("largest_loss",),
    "text-generation": ("largest_loss",),
}


class ExportSpec(FrozenModel):
    """A finished model in another form, refused when it answers too much worse."""

    format: ExportFormat = Field(
        title="Form",
        description=" ".join(f"{name}: {text}" for name, text in FORMAT_DESCRIPTIONS.items()),
    )
    source: Path = Field(default=Path("source"), description="Artifact folder of the model.")
    keep: float = Field(
        default=0.5,
        ge=0.1,
        le=1.0,
        title="Neurons kept",
        description="Share of the feed-forward neurons of every layer that pruning keeps.",
    )
    keep_heads: float = Field(
        default=1.0,
        ge=0.1,
        le=1.0,
        title="Attention heads kept",
        description=(
            "Share of all attention heads that pruning keeps: those whose loss would hurt most on"
            " validation rows, at least one in each layer."
        ),
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
            " as a share of a number's error or a text's loss."
        ),
    )

    @model_validator(mode="after")
    def _validate_pruning(self) -> Self:
        if self.format == "pruned" and self.keep == self.keep_heads == 1:
            raise ValueError("Pruning that keeps all neurons and all heads removes nothing.")
        return self
