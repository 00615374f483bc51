"""Fetches base models: from a wheel, a local folder, the hub or its mirror (HF_ENDPOINT).

LATHE_MODELS_DIR may name a folder of model folders, looked into before the network: either
`<id>` or `<owner>/<name>` inside it. Only safetensors are read; code in a repository never runs.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from engine.catalog import BaseModelEntry
from engine.errors import BaseModelUnavailable

NEEDED_FILES = ["*.json", "*.safetensors", "tokenizer.model", "vocab.txt", "merges.txt"]


def locate(entry: BaseModelEntry, on_download: Callable[[], None] = lambda: None) -> Path:
    """The folder holding this base model, downloading it if need be."""
    local = _local_folder(entry)
    if local is not None:
        return local
    if entry.source.kind == "wheel":
        return _wheel_folder(entry)
    if entry.source.kind == "local":
        raise BaseModelUnavailable(
            f"The folder {entry.source.reference!r} of base model {entry.name} is not in"
            " LATHE_MODELS_DIR."
        )
    return _download(entry, on_download)


def _local_folder(entry: BaseModelEntry) -> Path | None:
    root = os.environ.get("LATHE_MODELS_DIR")
    if not root:
        return None
    candidates = [Path(root) / entry.id, Path(root) / entry.source.reference]
    return next((folder for folder in candidates if (folder / "config.json").is_file()), None)


def _wheel_folder(entry: BaseModelEntry) -> Path:
    found = importlib.util.find_spec(entry.source.reference)
    if found is None or found.origin is None:
        raise BaseModelUnavailable(
            f"Base model {entry.name} comes with the Python package {entry.source.reference},"
            " which is not installed here."
        )
    return Path(found.origin).parent / "model"


def _download(entry: BaseModelEntry, on_download: Callable[[], None]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    reference = entry.source.reference
    try:
        return Path(
            snapshot_download(reference, allow_patterns=NEEDED_FILES, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        on_download()
    try:
        return Path(snapshot_download(reference, allow_patterns=NEEDED_FILES))
    except Exception as error:  # Any network, disk or permission failure ends in the same advice.
        raise BaseModelUnavailable(
            f"Base model {entry.name} could not be downloaded ({type(error).__name__}). Check the"
            " network, set HF_ENDPOINT to a mirror, put the model into LATHE_MODELS_DIR, or"
            " choose all-MiniLM-L6-v2, which needs no download."
        ) from error


def load_encoder(folder: Path) -> PreTrainedModel:
    """The encoder in float32 with dropout off and eager attention.

    Eager, because the flash backward on processors takes half of a step with short rows.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        disable_dropout(config)
        model: PreTrainedModel = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation="eager",
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError) as error:
        raise BaseModelUnavailable(
            f"The base model folder {folder.name!r} cannot be read: it needs config.json and"
            " safetensors weights of an architecture that transformers knows."
        ) from error
    return model


def disable_dropout(config: object) -> None:
    """Short fine-tunes are not helped by dropout, and without it resuming needs no random state."""
    for name, value in vars(config).items():
        if "dropout" in name and isinstance(value, int | float):
            setattr(config, name, 0.0)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer, neither padding nor cutting."""
    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False
            ).backend_tokenizer
    except Exception as error:  # The tokenizers library raises bare Exception on bad files.
        raise BaseModelUnavailable(
            f"The base model folder {folder.name!r} has no tokenizer that can be read."
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def longest_input(model: PreTrainedModel) -> int:
    """How many tokens the encoder has positions for."""
    config = model.config
    positions = int(getattr(config, "max_position_embeddings", 0) or 512)
    # The RoBERTa family starts counting positions behind the padding index.
    offset = (config.pad_token_id or 0) + 1 if _counts_after_padding(config.model_type) else 0
    return positions - offset


def _counts_after_padding(model_type: str) -> bool:
    return "roberta" in model_type or model_type in ("mpnet", "camembert", "xmod")
