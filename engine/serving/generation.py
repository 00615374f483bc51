"""Answers with an exported language model. Loads torch."""

from pathlib import Path
from typing import Any

import peft
import torch
from safetensors.torch import load_file
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import GENERATION_CONFIG_NAME

from engine import catalog
from engine.artifact import MANIFEST_FILE, Manifest, read_manifest
from engine.errors import BaseModelUnavailable, BrokenArtifact
from engine.network_loading import one_network_at_a_time
from engine.tasks.generation import base_models
from engine.tasks.generation.chat_template import stop_token_ids
from engine.tasks.generation.generator import PromptEncoder, TextGenerator
from engine.tasks.generation.sampling import default_sampling
from engine.tasks.text.base_models import locate_base_model, read_config

ADAPTER_FOLDER = "adapter"  # Of the artifact: what LoRA added, and its settings.


class GenerationModel(TextGenerator):
    """One artifact in memory. Methods may be called from several threads at once."""

    def __init__(
        self,
        folder: Path,
        threads: int = 1,
        manifest: Manifest | None = None,
        network: PreTrainedModel | None = None,
    ) -> None:
        """`network` stands in for the artifact's own weights."""
        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels  # None: it writes.
        torch.set_num_threads(threads)
        try:
            network = network or base_models.load_network(Path(folder), "sdpa")
            tokenizer = base_models.load_tokenizer(Path(folder))
        except BaseModelUnavailable as error:
            raise BrokenArtifact(
                "The artifact holds no language model that can be read."
            ) from error
        if torch.cuda.is_available():
            network.to("cuda")
        context = self.manifest.inputs.max_length or base_models.max_context_tokens(network.config)
        super().__init__(network, tokenizer, context, threads)
        if entry := catalog.CATALOG.get(self.manifest.base_model):
            self.default_sampling = self.default_sampling or {**entry.sampling}


def open_prompt_encoder(folder: Path, base_model: str) -> PromptEncoder:
    """What makes a model's prompts, from the artifact's or the base model's files without weights.

    Raises BaseModelUnavailable.
    """
    config, tokenizer = read_config(folder), base_models.load_tokenizer(folder)
    manifest = read_manifest(folder) if (folder / MANIFEST_FILE).exists() else None
    context = manifest.inputs.max_length if manifest else 0
    has_own = (folder / GENERATION_CONFIG_NAME).exists()
    own = GenerationConfig.from_pretrained(folder) if has_own else GenerationConfig()
    entry = catalog.CATALOG.get(base_model)
    return PromptEncoder(
        tokenizer,
        context or base_models.max_context_tokens(config),
        stop_token_ids(tokenizer, own.eos_token_id or config.eos_token_id),
        default_sampling(own, entry.sampling if entry else {}),
    )


def open_base_model(model_id: str, threads: int = 1) -> TextGenerator:
    """The catalog's base model as it is before any tuning, ready to answer.

    Raises BaseModelUnavailable when its files cannot be had, or UnknownBaseModel.
    """
    entry = catalog.get_base_model(model_id)
    folder = locate_base_model(entry)
    torch.set_num_threads(threads)
    network: Any = base_models.load_network(folder, "sdpa")
    if torch.cuda.is_available():
        network.to("cuda")
    context = base_models.max_context_tokens(network.config)
    writer = TextGenerator(network, base_models.load_tokenizer(folder), context, threads)
    writer.default_sampling = writer.default_sampling or {**entry.sampling}
    return writer


@one_network_at_a_time()
def open_checkpoint(
    folder: Path, weights: Path, initial_model: Path | None, threads: int = 1
) -> GenerationModel:
    """A saved state of the training that made the artifact in `folder`, ready to answer.

    `weights` is the state's network.safetensors, `initial_model` the artifact folder that the
    training began from, None for the base model. Raises BrokenArtifact for weights of another
    network, and BaseModelUnavailable.
    """
    manifest, state = read_manifest(folder), load_file(weights)
    network: Any
    if any("lora_" in name for name in state):
        base = initial_model or locate_base_model(catalog.get_base_model(manifest.base_model))
        network = base_models.load_network(base, "sdpa")
        config = peft.LoraConfig.from_pretrained(folder / ADAPTER_FOLDER)
        network = peft.get_peft_model(network, config)
        missing, unexpected = network.load_state_dict(state, strict=False)
        missing = [name for name in missing if "lora_" in name]
    else:
        network = base_models.load_network(folder, "sdpa")
        missing, unexpected = network.load_state_dict(state, strict=False)
        tied = set(network.all_tied_weights_keys)
        missing = [name for name in missing if name not in tied]
    if missing or unexpected:
        raise BrokenArtifact("The checkpoint holds the weights of another network.")
    if isinstance(network, peft.PeftModel):
        network = network.merge_and_unload()
    network.generation_config = GenerationConfig.from_pretrained(folder)
    return GenerationModel(folder, threads, manifest, network)
