"""The folder that a training job produces: its manifest, and whether it is complete. Free of torch.

A folder is complete when its manifest exists: everything is written into a sibling folder, the
manifest last, and then the folder is renamed.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import BrokenArtifact

MANIFEST_FILE = "manifest.json"
MANIFEST_FORMAT = 1
# How finely engine.serving.packed quantises weights. "full": in 127 steps on each side of 0, whose
# sums need 32 bits (AVX-512 VNNI). "bounded": in so few that sums of four products fit 16 bits
# (AVX2); the outputs have the same bits on all processors.
WeightSteps = Literal["full", "bounded"]


class _ManifestModel(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Serving(_ManifestModel):
    """The file that answers requests and how to feed it."""

    file: str
    format: Literal["onnx", "transformers"] = "onnx"
    tokenizer: str = "tokenizer.json"
    inputs: list[str] = ["input_ids", "attention_mask"]  # int64, (rows, tokens); mask 1 = real.
    output: str = "logits"  # float32, (rows, labels); softmax gives probabilities.
    # "packed": engine.serving.packed computes the saved network instead, where it can.
    engine: Literal["onnxruntime", "packed"] = "onnxruntime"
    weight_steps: WeightSteps = "full"
    check: list[float] = []  # Its outputs for a row that is always the same.


class Feature(_ManifestModel):
    """One column of a table as the model takes it; all values are of the training rows."""

    name: str
    kind: Literal["number", "category", "boolean", "date"]
    categories: list[str] = []  # Of a category; any other value counts as "other".
    low: float | None = None  # Range seen in training, for forms that ask for a value.
    high: float | None = None
    middle: float = 0.0  # Of a number: the median, which also stands in for missing values.
    scale: float = 1.0  # Of a number: what one unit of the model's input is.
    number_format: str = ""  # Of a number: 1234.5 as its texts write it; "" if nothing is known.
    has_gaps: bool = False  # Some values were missing: an extra input says where.


class Inputs(_ManifestModel):
    """What one request row is: a text, a row of features, a picture, or a chat."""

    kind: Literal["text", "features", "image", "chat"]
    columns: list[str] = []  # Of the data, in order.
    text_separator: str = "\n"  # Between the text columns of one row.
    max_length: int | None = None  # Longest input in tokens; the rest is cut.
    features: list[Feature] = []
    image_size: tuple[int, int] | None = None  # Height and width, in pixels.
    preprocessing: dict[str, Any] = {}  # Of pictures: resizing, mean, standard deviation.
    chat_template: str | None = None


class Target(_ManifestModel):
    """What the model predicts: one label, several labels, a number, or text."""

    kind: Literal["label", "labels", "number", "text"]
    column: str | None = None
    thresholds: list[float] = []  # Of several labels: the probability from which each is predicted.
    mean: float = 0.0  # Of a number: the output times `deviation` plus `mean` is the answer.
    deviation: float = 1.0


class StoredFile(_ManifestModel):
    sha256: str
    bytes: int


class Manifest(_ManifestModel):
    format: int = MANIFEST_FORMAT
    task: str
    base_model: str
    labels: list[str] = []
    inputs: Inputs
    target: Target
    serving: Serving
    files: dict[str, StoredFile] = {}
    versions: dict[str, str] = {}
    parity: dict[str, Any] = {}
    training: dict[str, Any] = {}


def read_manifest(folder: Path) -> Manifest:
    """Raises BrokenArtifact when there is none, it is damaged, or of a newer format."""
    try:
        manifest = Manifest.model_validate_json((Path(folder) / MANIFEST_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise BrokenArtifact(
            f"The folder {Path(folder).name!r} holds no whole artifact."
        ) from error
    if manifest.format > MANIFEST_FORMAT:
        raise BrokenArtifact(
            f"The artifact has format {manifest.format};"
            f" this version reads up to {MANIFEST_FORMAT}."
        )
    return manifest


def verify(folder: Path) -> Manifest:
    """The manifest, after every file's size and hash were compared with it."""
    manifest = read_manifest(folder)
    for name, stored in manifest.files.items():
        path = Path(folder) / name
        if not path.is_file() or hash_file(path) != stored:
            raise BrokenArtifact(f"The artifact's file {name!r} is missing or was altered.")
    return manifest


def hash_file(path: Path) -> StoredFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredFile(sha256=digest, bytes=path.stat().st_size)


def create_build_folder(output: Path) -> Path:
    """An empty sibling folder of `output` to write into."""
    folder = output.with_name(f".{output.name}.building")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def publish(building: Path, output: Path, manifest: Manifest) -> None:
    """Write the manifest with all hashes and move the folder into place.

    An existing artifact is replaced: it can only be of an earlier attempt at the same job.
    """
    files = {
        str(path.relative_to(building)): hash_file(path)
        for path in sorted(building.rglob("*"))
        if path.is_file()
    }
    complete = manifest.model_copy(update={"files": files})
    write_json(building / MANIFEST_FILE, complete.model_dump())
    shutil.rmtree(output, ignore_errors=True)
    building.rename(output)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
