"""Base models as encoders, by the float32 file that a machine exported once.

torch takes seconds to load and is needed for the export only, so each export leaves a note of its
files under the packages' versions, and later processes open them by the note.
"""

import json
import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ValidationError

from engine.export_packages import EXPORT_PACKAGES
from engine.serving.cache_folder import cache_folder
from engine.serving.embeddings import TextEmbedder, compute_row_by_row, load_whole_tokenizer
from engine.serving.sessions import open_session


class ExportedEncoder(BaseModel):
    """Where the files of an exported base model are, and how they are fed."""

    model: Path
    tokenizer: Path
    inputs: list[str]
    output: str
    max_length: int  # In tokens.
    versions: list[str]  # Of EXPORT_PACKAGES, in their order.


def open_base_embedder(model_id: str, threads: int = 1) -> TextEmbedder:
    """The catalog's base model as an encoder, in float32; exported first if need be.

    Raises BaseModelUnavailable when its files cannot be had, or UnknownBaseModel.
    """
    files = _read_note(model_id) or _export(model_id)
    session = open_session(files.model, threads)
    return TextEmbedder(
        compute_row_by_row(session, files.output, files.inputs),
        load_whole_tokenizer(files.tokenizer),
        files.max_length,
    )


def _note_path(model_id: str) -> Path:
    return cache_folder() / "encoders" / f"{model_id}.json"


def _read_note(model_id: str) -> ExportedEncoder | None:
    try:
        noted = ExportedEncoder.model_validate_json(_note_path(model_id).read_text())
    except (OSError, ValidationError):
        return None
    is_current = noted.versions == [version(name) for name in EXPORT_PACKAGES]
    has_files = noted.model.is_file() and noted.tokenizer.is_file()
    return noted if is_current and has_files else None


def _export(model_id: str) -> ExportedEncoder:
    """By name, because the module loads torch."""
    files: ExportedEncoder = import_module("engine.tasks.base_encoder").export_base_encoder(
        model_id
    )
    draft = _note_path(model_id).with_suffix(f".{os.getpid()}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(json.dumps(files.model_dump(mode="json")))
    draft.replace(_note_path(model_id))
    return files
