"""Language models and their tokenizers: read from a folder, or made from a config and the rows."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from engine.catalog import BaseModelEntry
from engine.errors import BaseModelUnavailable
from engine.network_loading import one_network_at_a_time
from engine.tasks.generation.chat_template import (
    DEFAULT_CHAT_TEMPLATE,
    END_TOKEN,
    PADDING_TOKEN,
    ROLE_TOKENS,
)
from engine.tasks.text import base_models

DEFAULT_CONTEXT_LENGTH = 2048


@one_network_at_a_time()
def load_network(folder: Path, attention: str, dropout: float = 0.0) -> PreTrainedModel:
    """The language model in float32."""
    config = base_models.read_config(folder)
    base_models.set_dropout(config, dropout)
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError) as error:
        raise base_models.unreadable_model_error(folder) from error
    return model


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer with a chat template: its own, or the plain one."""
    unreadable = BaseModelUnavailable(
        f"The base model folder {folder.name!r} has no tokenizer that can be read: it needs"
        " tokenizer.json and a token that ends a text."
    )
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # The tokenizers library raises bare Exception on bad files.
        raise unreadable from error
    if not tokenizer.is_fast or tokenizer.eos_token is None:
        raise unreadable
    if not isinstance(tokenizer.chat_template, str):  # None, or several by name.
        several = tokenizer.chat_template or {}
        tokenizer.chat_template = several.get("default", DEFAULT_CHAT_TEMPLATE)
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """Byte-pair pieces learnt from these texts; any text can be written with them."""
    backend = Tokenizer(tokenizer_models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING_TOKEN, END_TOKEN, *ROLE_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END_TOKEN,
        pad_token=PADDING_TOKEN,
        chat_template=DEFAULT_CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


@one_network_at_a_time()
def create_network(
    entry: BaseModelEntry, tokenizer: Any, attention: str, dropout: float
) -> PreTrainedModel:
    """Random weights as the entry's config describes; seed torch before."""
    config = AutoConfig.for_model(
        **entry.source.config,
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    base_models.set_dropout(config, dropout)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(
        config, attn_implementation=attention, dtype=torch.float32
    )
    return model


def max_context_tokens(config: Any) -> int:
    """How many tokens the model has positions for."""
    return int(getattr(config, "max_position_embeddings", 0) or DEFAULT_CONTEXT_LENGTH)
