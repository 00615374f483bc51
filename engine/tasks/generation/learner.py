"""What language model jobs give the training loop, and how their network is fitted."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import peft
import torch
from torch import Tensor

from engine.data.batching import Batch, length_grouped_batches, length_sorted_batches
from engine.loop import optimizers
from engine.loop.interface import ValidationMetric
from engine.tasks.generation.chat_template import TokenizedExample
from engine.tasks.generation.packing import (
    batches_of_rows,
    build_packed_batch,
    build_padded_batch,
    compute_token_losses,
    count_target_tokens,
    pack_first_fit,
    packed_batches,
)
from engine.tasks.generation.prepare import PreparedChats, sequence_lengths

VALIDATION_BATCH_TOKENS = 2048
MAX_VALIDATION_SEQUENCES = 1000  # More would only cost time.
MAX_PERPLEXITY_EXPONENT = 700.0


class GenerationLearner:
    """Answers for the training loop. Batch numbers count sequences of the training split."""

    def __init__(self, prepared: PreparedChats) -> None:
        self._prepared = prepared
        self.network: torch.nn.Module = _build_network(prepared)
        self.score = ValidationMetric("validation_loss", higher_is_better=False)
        self._train = prepared.sequences(prepared.split.train)
        self._validation = prepared.sequences(prepared.split.validation)[:MAX_VALIDATION_SEQUENCES]
        self._lengths = sequence_lengths(self._train).tolist()
        self._target_token_counts = [count_target_tokens(one) for one in self._train]

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        hyperparameters = self._prepared.spec.hyperparameters
        if hyperparameters.rows_per_step:
            return batches_of_rows(
                self._lengths,
                hyperparameters.rows_per_step,
                hyperparameters.batch_tokens,
                seed=hyperparameters.seed,
                epoch=epoch,
            )
        make_batches = packed_batches if hyperparameters.packing else length_grouped_batches
        return make_batches(
            self._lengths, hyperparameters.batch_tokens, seed=hyperparameters.seed, epoch=epoch
        )

    def parameter_groups(self) -> list[optimizers.ParameterGroup]:
        return optimizers.parameter_groups(
            self.network,
            self._prepared.spec.hyperparameters,
            self._prepared.recommended_learning_rate,
            undecayed="embed",
        )

    def loss(self, rows: Batch) -> Tensor:
        sequences = [self._train[row] for row in rows.tolist()]
        if self._prepared.spec.hyperparameters.packing:
            lengths = [len(sequence.ids) for sequence in sequences]
            bins = pack_first_fit(lengths, self._prepared.max_length)
        else:
            bins = [[index] for index in range(len(sequences))]
        batch = build_packed_batch(sequences, bins, self._prepared.device.name)
        losses, _ = compute_token_losses(self.network, batch)
        return losses.mean()

    def weight(self, rows: Batch) -> float:
        return float(sum(self._target_token_counts[row] for row in rows.tolist()))

    def memory_cost(self, rows: Batch) -> float:
        return float(len(rows) * max(self._lengths[row] for row in rows.tolist()))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not self._validation:
            return {}
        with self._prepared.device.autocast():
            losses, tokens = compute_sequence_losses(
                self.network, self._validation, self._prepared.device.name, check
            )
        loss = float(losses.sum() / tokens.sum())
        return {
            "validation_loss": loss,
            "validation_perplexity": math.exp(min(loss, MAX_PERPLEXITY_EXPONENT)),
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return (
            f"loss of an answer's token {metrics['validation_loss']:.3f}, perplexity"
            f" {metrics['validation_perplexity']:.4g}"
        )


def _build_network(prepared: PreparedChats) -> Any:
    """The base model ready to train by the chosen method; the same at every call."""
    hyperparameters = prepared.spec.hyperparameters
    network: Any = prepared.create_network()
    if hyperparameters.gradient_checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    if prepared.method == "full":
        return network
    config = peft.LoraConfig(
        r=hyperparameters.lora_rank,
        lora_alpha=hyperparameters.lora_alpha,
        lora_dropout=hyperparameters.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(network, config)


def compute_sequence_losses(
    network: torch.nn.Module,
    sequences: Sequence[TokenizedExample],
    device: str,
    check: Iterable[None] = (),
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Summed loss and number of target tokens of each sequence."""
    network.eval()
    ticks = iter(check)
    losses = np.zeros(len(sequences))
    lengths = sequence_lengths(list(sequences)).tolist()
    for batch in length_sorted_batches(lengths, VALIDATION_BATCH_TOKENS):
        next(ticks, None)
        with torch.inference_mode():
            tensors = build_padded_batch([sequences[row] for row in batch], device)
            token_losses, lines = compute_token_losses(network, tensors)
        np.add.at(losses, batch[lines.cpu().numpy()], token_losses.double().cpu().numpy())
    return losses, np.array([count_target_tokens(one) for one in sequences], dtype=np.int64)


def compute_row_losses(
    network: torch.nn.Module, prepared: PreparedChats, rows: Sequence[int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Summed loss and number of target tokens of each row, over all of its sequences."""
    device = str(next(network.parameters()).device)
    losses, tokens = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for index, row in enumerate(rows):
        sequences = prepared.tokenized_chats[row]
        sequence_losses, target_tokens = compute_sequence_losses(network, sequences, device)
        losses[index], tokens[index] = sequence_losses.sum(), target_tokens.sum()
    return losses, tokens
