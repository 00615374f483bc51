"""What text jobs give the training loop: fine-tuning an encoder, or only the layer on top."""

import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.analysis.adversarial_attacks import compute_perturbation, perturb_embeddings
from engine.data.batching import Batch, length_grouped_batches, shuffled_batches
from engine.distributed import collectives
from engine.loop import optimizers
from engine.loop.interface import TrainableTask
from engine.loop.optimizers import ParameterGroup
from engine.prediction_heads import PredictionHead
from engine.tasks.shared import Rows
from engine.tasks.text.embeddings import predict
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.network import TextNetwork, VocabularyTrimmer, freeze_lower_half
from engine.tasks.text.prepare import PreparedTexts
from engine.tasks.text.training_inputs.activation_cache import CachedLowerLayers, cache_lower_layers
from engine.tasks.text.training_inputs.augmented_rows import AugmentedRows

HEAD_ROWS_PER_BATCH = 64
ADVERSARIAL_ROWS = 64
ADVERSARIAL_QUALITY = "validation_attacked_quality"
LORA_ALPHA_FACTOR = 2


@dataclass
class FitData:
    """One network to train: its rows and what its outputs mean."""

    network: TextNetwork
    prediction_head: PredictionHead
    train: Rows
    validation: Rows


class TextLearner:
    """Trains the whole network. A batch's number is epoch times rows plus the index in the
    training rows, so that what is drawn for a row follows from the batch alone."""

    def __init__(
        self,
        prepared: PreparedTexts,
        data: FitData,
        cached_layers: CachedLowerLayers | None = None,
        augmented: AugmentedRows | None = None,
    ) -> None:
        self._prepared, self._data, self._rows = prepared, data, prepared.rows
        self._cached_layers, self._augmented = cached_layers, augmented
        self.network: torch.nn.Module = data.network
        self.score = data.prediction_head.score
        self._lengths = [len(self._rows.ids[row]) for row in data.train]

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        hyperparameters = self._prepared.spec.hyperparameters
        tokens = hyperparameters.planned_batch_tokens(len(self._lengths))
        seed, count = hyperparameters.seed, len(self._lengths)
        steps = length_grouped_batches(self._lengths, tokens, seed=seed, epoch=epoch)
        return [[batch + epoch * count for batch in step] for step in steps]

    def parameter_groups(self) -> list[ParameterGroup]:
        network, prepared = self._data.network, self._prepared
        groups = optimizers.parameter_groups(
            network.encoder,
            prepared.spec.hyperparameters,
            prepared.recommended_learning_rate,
            undecayed="embedding",
        )
        return [*groups, _head_parameter_group(prepared, network.head)]

    def loss(self, rows: Batch) -> Tensor:
        train_rows, network = self._train_rows(rows), self._data.network
        ids, mask = self._tokens(rows)
        head = self._data.prediction_head
        with self._use_cached(train_rows, ids.shape[1]):
            plain_loss = head.loss(network(ids, mask), train_rows)
        epsilon = self._prepared.spec.hyperparameters.adversarial
        if not epsilon:
            return plain_loss
        embedding = network.encoder.get_input_embeddings()
        shift = compute_perturbation(
            network,
            embedding,
            ids,
            mask,
            lambda outputs: head.loss(outputs, train_rows),
            epsilon=epsilon,
        )
        with perturb_embeddings(embedding, shift):
            return (plain_loss + head.loss(network(ids, mask), train_rows)) / 2

    def _train_rows(self, rows: Batch) -> Rows:
        return self._data.train[rows % len(self._lengths)]

    def _tokens(self, rows: Batch) -> tuple[Tensor, Tensor]:
        device, count = self._prepared.device.name, len(self._lengths)
        if self._augmented is None:
            return self._rows.padded(self._train_rows(rows), device)
        return self._augmented.padded(rows % count, int(rows[0]) // count, device)

    def _use_cached(self, rows: Rows, tokens: int) -> AbstractContextManager[None]:
        cached = self._cached_layers
        return contextlib.nullcontext() if cached is None else cached.use_cached(rows, tokens)

    def weight(self, rows: Batch) -> float:
        return self._data.prediction_head.weight(self._train_rows(rows))

    def memory_cost(self, rows: Batch) -> float:
        count = len(self._lengths)
        return float(len(rows) * max(self._lengths[row % count] for row in rows) ** 1.5)

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        data = self._data
        if not len(data.validation):
            return {}
        outputs = predict(self._prepared, data.network, data.validation, check)
        metrics = data.prediction_head.validation(outputs, data.validation)
        attacked = measure_adversarial_quality(self._prepared, data)
        return metrics if attacked is None else metrics | {ADVERSARIAL_QUALITY: attacked}

    def summary(self, metrics: dict[str, float]) -> str:
        return self._data.prediction_head.summary(metrics)


def measure_adversarial_quality(prepared: PreparedTexts, data: FitData) -> float | None:
    """Quality of the network as it stands, on some validation rows perturbed as in adversarial
    training; None without it."""
    epsilon, rows = prepared.spec.hyperparameters.adversarial, data.validation[:ADVERSARIAL_ROWS]
    if not epsilon or not len(rows):
        return None
    network, head = data.network.eval(), data.prediction_head
    ids, mask = prepared.rows.padded(rows, prepared.device.name)
    embedding = network.encoder.get_input_embeddings()
    shift = compute_perturbation(
        network, embedding, ids, mask, lambda outputs: head.loss(outputs, rows), epsilon=epsilon
    )
    with torch.no_grad(), perturb_embeddings(embedding, shift):
        return head.quality(network(ids, mask).float().cpu().numpy(), rows)


class HeadLearner:
    """Trains the layer on top alone, on features of the frozen encoder computed once."""

    def __init__(self, prepared: PreparedTexts, data: FitData, features: Features) -> None:
        self._prepared, self._data = prepared, data
        self.score = data.prediction_head.score
        self.network = torch.nn.Sequential(data.network.dropout, data.network.head)
        device = prepared.device.name
        self._train = torch.from_numpy(features.select_rows(data.train)).to(device)
        self._validation = torch.from_numpy(features.select_rows(data.validation)).to(device)

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        seed = self._prepared.spec.hyperparameters.seed
        return shuffled_batches(len(self._train), HEAD_ROWS_PER_BATCH, seed=seed, epoch=epoch)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [_head_parameter_group(self._prepared, self._data.network.head)]

    def loss(self, rows: Batch) -> Tensor:
        outputs = self.network(self._train[rows])
        return self._data.prediction_head.loss(outputs, self._data.train[rows])

    def weight(self, rows: Batch) -> float:
        return self._data.prediction_head.weight(self._data.train[rows])

    def memory_cost(self, rows: Batch) -> float:
        return float(len(rows))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation):
            return {}
        self.network.eval()
        with torch.inference_mode():
            outputs = self.network(self._validation).float().cpu().numpy()
        self.network.train()
        return self._data.prediction_head.validation(outputs, self._data.validation)

    def summary(self, metrics: dict[str, float]) -> str:
        return self._data.prediction_head.summary(metrics)


def _head_parameter_group(prepared: PreparedTexts, head: torch.nn.Module) -> ParameterGroup:
    hyperparameters = prepared.spec.hyperparameters
    factor = optimizers.LEARNING_RATE_FACTORS[hyperparameters.optimizer]
    return ParameterGroup(
        params=list(head.parameters()),
        lr=hyperparameters.head_learning_rate * factor,
        weight_decay=hyperparameters.weight_decay,
    )


def build_learner(
    prepared: PreparedTexts, data: FitData, features: Features
) -> tuple[TrainableTask, Callable[[], None]]:
    """The learner of the chosen method, and a function that restores the network's plain form."""
    network, method = data.network, prepared.method
    if method == "head":
        network.normalise = True  # As the features are.
        return HeadLearner(prepared, data, features), lambda: None
    is_augmented = prepared.spec.hyperparameters.augmentation != "none"
    augmented = AugmentedRows(prepared, data.train) if is_augmented else None
    if method == "lora":
        return TextLearner(prepared, data, None, augmented), _add_lora(prepared, network)
    if method == "upper" and freeze_lower_half(network.encoder):
        network.to(prepared.device.name)
        cached_layers = _cache_lower_layers_if_useful(prepared, data)

        def restore() -> None:
            network.requires_grad_(True)
            if cached_layers is not None:
                cached_layers.restore_layers()

        return TextLearner(prepared, data, cached_layers, augmented), restore
    # Gradients reach only the tokens that occur: the other embedding rows need no optimiser.
    used = np.unique(np.concatenate(prepared.rows.ids))
    if augmented is not None:
        used = np.union1d(used, augmented.token_ids())
    trimmer = VocabularyTrimmer(network.encoder, used.tolist())
    network.to(prepared.device.name)
    return TextLearner(prepared, data, None, augmented), trimmer.restore_full_embedding


def _add_lora(prepared: PreparedTexts, network: TextNetwork) -> Callable[[], None]:
    """Puts LoRA's matrices beside every linear layer; returns what merges them in."""
    import peft  # Loads accelerate and seconds of other libraries.

    rank = prepared.spec.hyperparameters.lora_rank
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=LORA_ALPHA_FACTOR * rank,
        target_modules="all-linear",
        lora_dropout=prepared.spec.hyperparameters.dropout,
    )
    network.encoder = peft.get_peft_model(network.encoder, config)
    network.to(prepared.device.name)

    def merge() -> None:
        network.encoder = network.encoder.merge_and_unload()

    return merge


def _cache_lower_layers_if_useful(
    prepared: PreparedTexts, data: FitData
) -> CachedLowerLayers | None:
    """Where it saves time and changes nothing: several epochs on one processor, and nothing random
    or adversarial below. It depends on the job alone, so that a resumed one computes the same
    bits."""
    hyperparameters, device = prepared.spec.hyperparameters, prepared.device
    is_single_cpu = device.name == "cpu" and collectives.world_size() == 1
    has_changing_layers = (
        hyperparameters.dropout
        or hyperparameters.adversarial
        or hyperparameters.gradient_checkpointing
        or hyperparameters.augmentation != "none"
    )
    if not is_single_cpu or has_changing_layers or prepared.epochs < 2:
        return None
    return cache_lower_layers(data.network.encoder, prepared.rows, data.train, device.precision)
