"""A language model small enough to write with in a moment."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.tasks.generation.base_models import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["Hello there, how are you?"], 300)


@pytest.fixture(scope="module")
def network(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=48, max_position_embeddings=2048,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()
