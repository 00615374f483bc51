"""Answers with exported artifacts: `load_model` picks the code by the manifest's task.

Deployments run this code and the evaluation uses it too, so what is served is what was tested.
Importing this module loads nothing heavy; models answered by ONNX files never load torch.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.artifact import Manifest, read_manifest
from engine.errors import BrokenArtifact

if TYPE_CHECKING:
    from engine.serving.answers import Answer

# Task → module, and its class or function of folder, threads and manifest.
MODEL_CLASSES: dict[str, tuple[str, str]] = {
    "text-classification": ("engine.serving.text", "open_model"),
    "text-regression": ("engine.serving.text", "open_model"),
    "tabular-classification": ("engine.serving.tabular", "TabularModel"),
    "tabular-regression": ("engine.serving.tabular", "TabularModel"),
    "image-classification": ("engine.serving.images", "ImageClassifier"),
    "text-generation": ("engine.serving.generation", "GenerationModel"),
}


class ServedModel(Protocol):
    """One model in memory. Its methods may be called from several threads at once."""

    manifest: Manifest
    labels: list[str]

    def encode(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Each row as the file reads it. Raises EngineError for what cannot be read."""

    def token_counts(self, encoded: Sequence[Any]) -> list[int]:
        """The metered size of each row: its tokens, or values of a table, or image patches."""

    def outputs(self, encoded: Sequence[Any]) -> Any:
        """The file's outputs for encoded rows in one batch: (rows, outputs), float32."""

    def answer(self, rows: Sequence[Any]) -> "list[Answer]":
        """One answer for each row, whose form `manifest.inputs.kind` names: a text, a mapping of
        features, the bytes of an image, or a list of chat messages."""


def load_model(folder: Path, threads: int = 1, manifest: Manifest | None = None) -> ServedModel:
    """The model in this artifact folder. Raises BrokenArtifact for what cannot be served here."""
    manifest = manifest or read_manifest(folder)
    if manifest.task not in MODEL_CLASSES:
        raise BrokenArtifact(f"This version cannot serve models for {manifest.task}.")
    module, name = MODEL_CLASSES[manifest.task]
    model: ServedModel = getattr(import_module(module), name)(folder, threads, manifest)
    return model


__all__ = ["MODEL_CLASSES", "ServedModel", "load_model"]
