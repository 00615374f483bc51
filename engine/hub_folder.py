"""A text model as a folder that transformers opens: encoder, tokenizer, and the head beside them.

The encoder is an ordinary one of transformers; the head is a linear layer on the mean of its token
states, which no class of transformers has, so it lies in two small files of its own.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedTokenizerFast

from engine.artifact import Manifest
from engine.errors import ExportRefused
from engine.network import TextNetwork

FOLDER = "huggingface"
HEAD_WEIGHTS, HEAD_CONFIG = "head.safetensors", "head.json"
SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def save_for_hub(
    network: TextNetwork, tokenizer: Tokenizer, manifest: Manifest, folder: Path
) -> Path:
    """Write the folder beneath the artifact's; returns it."""
    target = folder / FOLDER
    network.encoder.save_pretrained(target, max_shard_size="1000GB")  # One file.
    known = tokenizer.get_vocab()
    special = {
        role: next((name for name in names if name in known), None)
        for role, names in SPECIAL.items()
    }
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=manifest.inputs.max_length,
        **{role: name for role, name in special.items() if name is not None},
    ).save_pretrained(target)
    head = {"weight": network.head.weight, "bias": network.head.bias}
    save_file({name: one.detach().contiguous() for name, one in head.items()},
              target / HEAD_WEIGHTS)  # fmt: skip
    (target / HEAD_CONFIG).write_text(json.dumps(_about_head(network, manifest), indent=2) + "\n")
    return target


def _about_head(network: TextNetwork, manifest: Manifest) -> dict[str, Any]:
    return {
        "pooling": "mean of the token states that are not padding",
        "normalise": network.normalise,
        "labels": manifest.labels,
        "target": manifest.target.model_dump(),
        "max_length": manifest.inputs.max_length,
    }


def load_from_hub_folder(folder: Path) -> TextNetwork:
    """What transformers makes of the folder. Raises ExportRefused when it cannot."""
    try:
        encoder = AutoModel.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportRefused(
            "transformers has no words for this model's shape, so it cannot open it: its heads"
            " were pruned. The original stays as it is; choose onnx."
        ) from error
    head, about = load_file(folder / HEAD_WEIGHTS), json.loads((folder / HEAD_CONFIG).read_text())
    network = TextNetwork(encoder, len(head["bias"]), normalise=about["normalise"])
    network.head.load_state_dict(head)
    return network.eval()


def tokens_by_hub_folder(folder: Path, texts: Sequence[str], longest: int) -> list[list[int]]:
    """Ids as the folder's own tokenizer makes them."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    found = tokenizer(list(texts), truncation=True, max_length=longest)
    ids: list[list[int]] = found["input_ids"]
    return ids
