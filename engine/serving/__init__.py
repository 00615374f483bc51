"""Answers with exported artifacts: `load` picks the code by the manifest's task.

This is the code path a deployment runs; evaluation uses it too, so what is served was tested.
Importing it loads nothing heavy; the ONNX ones never load torch.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from engine.artifact import Manifest, read_manifest
from engine.errors import BrokenArtifact
from engine.serving.text import TextClassifier, predict_all

# Task → module, and its class or function of folder, threads and manifest.
SERVED: dict[str, tuple[str, str]] = {
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
        """How many tokens, or values of a table, each row is; what is metered."""

    def outputs(self, encoded: Sequence[Any]) -> Any:
        """What the file computes of encoded rows, together: (rows, outputs), float32."""

    def answer(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """One answer for each row, whose form `manifest.inputs.kind` names: a text, a mapping of
        features, the bytes of a picture, or a list of chat messages.

        Answers hold `label` and `probability`, or `labels`, or `value`, or `text`, as
        `manifest.target.kind` says; classifiers also give `probabilities` by label.
        """


def load(folder: Path, threads: int = 1, manifest: Manifest | None = None) -> ServedModel:
    """The model in this artifact folder. Raises BrokenArtifact for what cannot be served here."""
    known = manifest or read_manifest(folder)
    if known.task not in SERVED:
        raise BrokenArtifact(f"This version cannot serve models for {known.task}.")
    module, name = SERVED[known.task]
    served: ServedModel = getattr(import_module(module), name)(folder, threads, known)
    return served


__all__ = ["SERVED", "ServedModel", "TextClassifier", "load", "predict_all"]
