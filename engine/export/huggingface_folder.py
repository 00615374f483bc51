"""A text model as a folder that transformers opens: encoder and tokenizer, with the head beside.

The encoder is an ordinary one of transformers; the head is a linear layer on the mean of its token
states, for which transformers has no class, so it is in two small files of its own.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedTokenizerFast

from engine.artifact import Manifest, write_json
from engine.errors import ExportRefused
from engine.network_loading import one_network_at_a_time
from engine.tasks.text.network import TextNetwork

HUGGINGFACE_FOLDER = "huggingface"
HEAD_WEIGHTS, HEAD_CONFIG = "head.safetensors", "head.json"
SPECIAL_TOKENS = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def save_huggingface_folder(
    network: TextNetwork, tokenizer: Tokenizer, manifest: Manifest, folder: Path
) -> Path:
    """Write the folder inside the artifact's folder and return it."""
    target = folder / HUGGINGFACE_FOLDER
    network.encoder.save_pretrained(target, max_shard_size="1000GB")  # One file.
    vocabulary = tokenizer.get_vocab()
    special = {
        role: name
        for role, names in SPECIAL_TOKENS.items()
        if (name := next((name for name in names if name in vocabulary), None)) is not None
    }
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=manifest.inputs.max_length, **special
    ).save_pretrained(target)
    head = {"weight": network.head.weight, "bias": network.head.bias}
    weights = {name: parameter.detach().contiguous() for name, parameter in head.items()}
    save_file(weights, target / HEAD_WEIGHTS)
    config = {
        "pooling": "mean of the token states that are not padding",
        "normalise": network.normalise,
        "labels": manifest.labels,
        "target": manifest.target.model_dump(),
        "max_length": manifest.inputs.max_length,
    }
    write_json(target / HEAD_CONFIG, config)
    return target


@one_network_at_a_time()
def load_huggingface_folder(folder: Path) -> TextNetwork:
    """Load the folder as transformers does. Raises ExportRefused when it cannot."""
    try:
        encoder = AutoModel.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportRefused(
            "transformers has no words for this model's shape, so it cannot open it: its heads"
            " were pruned. The original stays as it is; choose onnx."
        ) from error
    head, config = load_file(folder / HEAD_WEIGHTS), json.loads((folder / HEAD_CONFIG).read_text())
    network = TextNetwork(encoder, len(head["bias"]), normalise=config["normalise"])
    network.head.load_state_dict(head)
    return network.eval()


def tokenize_with_huggingface_folder(
    folder: Path, texts: Sequence[str], longest: int
) -> list[list[int]]:
    """Token ids by the folder's own tokenizer."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    encoded = tokenizer(list(texts), truncation=True, max_length=longest)
    ids: list[list[int]] = encoded["input_ids"]
    return ids
