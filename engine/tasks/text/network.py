"""The text model as a torch module: encoder, mean over tokens, one linear layer.

Also its two files, model.safetensors and config.json, and the trimmed embedding used in training.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedModel

from engine.export.attention_heads import count_heads, find_attention_layers
from engine.network_loading import one_network_at_a_time


class TextNetwork(nn.Module):
    """Token ids and mask (batch, tokens) to outputs (batch, labels), or one number a row."""

    def __init__(
        self,
        encoder: PreTrainedModel,
        outputs: int,
        *,
        normalise: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, outputs)
        self.normalise = normalise  # Scale embeddings to length 1, as linear probes expect.

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.dropout(self.embed(input_ids, attention_mask)))
        return outputs  # (batch, outputs)

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the token states that are not padding: (batch, hidden), float32."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        states = states.last_hidden_state.float()  # (batch, tokens, hidden)
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return functional.normalize(pooled, dim=-1) if self.normalise else pooled


class TrimmedEmbedding(nn.Module):
    """An embedding of the rows in use: the others get no gradient, but cost optimiser time."""

    position: Tensor

    def __init__(self, full: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        position = torch.zeros(full.num_embeddings, dtype=torch.long)
        position[used] = torch.arange(len(used))
        self.register_buffer("position", position, persistent=False)  # token id -> row
        self.weight = nn.Parameter(full.weight.detach()[used].clone())
        self.padding_idx = full.padding_idx

    def forward(self, input_ids: Tensor) -> Tensor:
        return functional.embedding(self.position[input_ids], self.weight)


class VocabularyTrimmer:
    """Swaps the encoder's word embedding for a trimmed one and back."""

    def __init__(self, encoder: PreTrainedModel, used_tokens: list[int]) -> None:
        self._encoder = encoder
        self._full: nn.Embedding = encoder.get_input_embeddings()
        self._used = torch.tensor(sorted(used_tokens), dtype=torch.long)
        encoder.set_input_embeddings(TrimmedEmbedding(self._full, self._used))

    def restore_full_embedding(self) -> None:
        trimmed = self._encoder.get_input_embeddings()
        with torch.no_grad():
            self._full.weight[self._used] = trimmed.weight.to(self._full.weight.device)
        self._encoder.set_input_embeddings(self._full)


def find_encoder_layers(encoder: PreTrainedModel) -> nn.ModuleList | None:
    """The encoder's layers, first to last; None where it has none to divide."""
    total = encoder.config.num_hidden_layers
    lists = (module for module in encoder.modules() if isinstance(module, nn.ModuleList))
    return next((layers for layers in lists if len(layers) == total and total > 1), None)


def freeze_lower_half(encoder: PreTrainedModel) -> bool:
    """Let only the upper half of the encoder's layers learn; whether it has layers to divide."""
    layers = find_encoder_layers(encoder)
    if layers is None:
        return False
    encoder.requires_grad_(False)
    for layer in layers[len(layers) // 2 :]:
        layer.requires_grad_(True)
    return True


def save_network(network: TextNetwork, folder: Path) -> None:
    tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config: dict[str, object] = {
        "format": 1,
        "outputs": network.head.out_features,
        "normalise": network.normalise,
        "encoder": network.encoder.config.to_dict(),
    }
    counts = count_heads(network.encoder)
    if any(count < network.encoder.config.num_attention_heads for count in counts):
        config["heads"] = counts  # transformers' config has no field for it.
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str))


@one_network_at_a_time()
def load_network(folder: Path) -> TextNetwork:
    """The network saved in this folder, in float32 on the CPU, ready to predict."""
    config = json.loads((folder / "config.json").read_text())
    encoder_config = AutoConfig.for_model(**config["encoder"])
    encoder = AutoModel.from_config(
        encoder_config, attn_implementation="eager", dtype=torch.float32
    )
    if "heads" in config:
        # Before weights are loaded into them.
        for attention, count in zip(find_attention_layers(encoder), config["heads"], strict=True):
            if count < attention.head_count:
                attention.prune_to_heads(list(range(count)))
    network = TextNetwork(encoder, config["outputs"], normalise=config["normalise"])
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval()
