"""A language model out of an installed package's GGUF file, converted once and kept.

The file's weights are quantised to four bits; converted they are as close to the hub's model as
that allows. Read by transformers with the package gguf, and stored as safetensors.
"""

from pathlib import Path

import torch

from engine.network_loading import one_network_at_a_time
from engine.packages import LICENCE_FILE, find_package_folder
from engine.serving.cache_folder import cache_folder, create_once

CONVERSION = 1  # Of what is written; folders of another number are made again.


def find_gguf(package: str) -> Path | None:
    """The one GGUF file of this package; None where it is not installed."""
    folder = find_package_folder(package)
    return next(iter(sorted(folder.glob("*.gguf"))), None) if folder else None


def converted_folder(path: Path, licence: str, source: str) -> Path:
    """The folder with the converted model, which is made if this machine has none yet."""

    def build(building: Path) -> None:
        _convert(path, building)
        notice = f"{source}, licence {licence}, out of {path.name}, which has four bits a weight.\n"
        (building / LICENCE_FILE).write_text(notice)

    name = f"{path.stem}-{path.stat().st_size}-{CONVERSION}"
    return create_once(cache_folder() / "base-models" / name, build)


@one_network_at_a_time()
def _convert(path: Path, target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = {"gguf_file": path.name, "trust_remote_code": False}
    network = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **read)
    config = network.config
    del config.quantization_config  # The weights are plain numbers by now.
    config.name_or_path = ""
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(network.state_dict())
    # Half precision holds more of such a weight than four bits gave it.
    plain.half().save_pretrained(target, max_shard_size="1000GB")
    AutoTokenizer.from_pretrained(path.parent, **read).save_pretrained(target)
