"""What text jobs bring to the training loop: fine-tuning an encoder, or only the layer on top."""

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine import catalog, distributed, optimizing
from engine.attacking import perturbation, shifted
from engine.batching import Batch, epoch_steps, plain_steps
from engine.goals import Goal
from engine.goals.outline import Rows
from engine.network import TextNetwork, VocabularyTrim, learning_upper_half
from engine.remembered import RememberedLayers, remember
from engine.tasks.text_embedding import Features, predict
from engine.tasks.text_preparation import Prepared
from engine.training import Learner

HEAD_ROWS_PER_BATCH = 64
ATTACKED_ROWS = 64
ATTACKED = "validation_attacked_quality"
LORA_ALPHA_FACTOR = 2


@dataclass
class Lesson:
    """One network to teach: which rows it sees and what its outputs mean."""

    network: TextNetwork
    goal: Goal
    train: Rows
    validation: Rows


class TextLearner:
    """Teaches the whole network. Row numbers in batches count within the lesson's training rows."""

    def __init__(
        self, prepared: Prepared, lesson: Lesson, remembered: RememberedLayers | None = None
    ) -> None:
        self._prepared, self._lesson, self._rows = prepared, lesson, prepared.rows
        self._remembered = remembered
        self.network: torch.nn.Module = lesson.network
        self.score = lesson.goal.score
        self._lengths = [len(self._rows.ids[row]) for row in lesson.train]

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        dials = self._prepared.spec.hyperparameters
        tokens = dials.planned_batch_tokens(len(self._lengths))
        return epoch_steps(self._lengths, tokens, seed=dials.seed, epoch=epoch)

    def parameter_groups(self) -> list[dict[str, Any]]:
        dials = self._prepared.spec.hyperparameters
        recommended = catalog.find(self._prepared.spec.base_model).learning_rate
        factor = dials.rate_factor(
            from_scratch=self._prepared.base_folder is None,
            train_rows=len(self._prepared.split.train),
        )
        rate = optimizing.automatic_rate(dials, recommended * factor)
        decayed: list[torch.nn.Parameter] = []
        plain: list[torch.nn.Parameter] = []
        for name, parameter in self._lesson.network.encoder.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim > 1 and "embedding" not in name.casefold()
                (decayed if is_matrix else plain).append(parameter)
        groups = [
            {"params": decayed, "lr": rate, "weight_decay": dials.weight_decay},
            {"params": plain, "lr": rate, "weight_decay": 0.0},
            _head_group(self._prepared, self._lesson.network.head),
        ]
        return [group for group in groups if group["params"]]

    def loss(self, rows: Batch) -> Tensor:
        chosen, network = self._lesson.train[rows], self._lesson.network
        ids, mask = self._rows.padded(chosen, self._prepared.device.name)
        goal = self._lesson.goal
        with self._recalled(chosen, ids.shape[1]):
            plain = goal.loss(network(ids, mask), chosen)
        epsilon = self._prepared.spec.hyperparameters.adversarial
        if not epsilon:
            return plain
        embedding = network.encoder.get_input_embeddings()
        shift = perturbation(
            network, embedding, ids, mask, lambda found: goal.loss(found, chosen), epsilon=epsilon
        )
        with shifted(embedding, shift):
            return (plain + goal.loss(network(ids, mask), chosen)) / 2

    def _recalled(self, rows: Rows, tokens: int) -> AbstractContextManager[None]:
        known = self._remembered
        return contextlib.nullcontext() if known is None else known.recalled(rows, tokens)

    def weight(self, rows: Batch) -> float:
        return self._lesson.goal.weight(self._lesson.train[rows])

    def cost(self, rows: Batch) -> float:
        return float(len(rows) * max(self._lengths[row] for row in rows) ** 1.5)

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        lesson = self._lesson
        if not len(lesson.validation):
            return {}
        outputs = predict(self._prepared, lesson.network, lesson.validation, check)
        found = lesson.goal.validation(outputs, lesson.validation)
        attacked = attacked_quality(self._prepared, lesson)
        return found if attacked is None else found | {ATTACKED: attacked}

    def summary(self, metrics: dict[str, float]) -> str:
        return self._lesson.goal.summary(metrics)


def attacked_quality(prepared: Prepared, lesson: Lesson) -> float | None:
    """Quality of the network as it stands, on some validation rows pushed as hard as in
    adversarial training; None without it."""
    epsilon, rows = prepared.spec.hyperparameters.adversarial, lesson.validation[:ATTACKED_ROWS]
    if not epsilon or not len(rows):
        return None
    network, goal = lesson.network.eval(), lesson.goal
    ids, mask = prepared.rows.padded(rows, prepared.device.name)
    embedding = network.encoder.get_input_embeddings()
    shift = perturbation(
        network, embedding, ids, mask, lambda found: goal.loss(found, rows), epsilon=epsilon
    )
    with torch.no_grad(), shifted(embedding, shift):
        return goal.quality(network(ids, mask).float().cpu().numpy(), rows)


class HeadLearner:
    """Teaches the layer on top alone, on features of the frozen encoder made once."""

    def __init__(self, prepared: Prepared, lesson: Lesson, features: Features) -> None:
        self._prepared, self._lesson = prepared, lesson
        self.score = lesson.goal.score
        self.network = torch.nn.Sequential(lesson.network.dropout, lesson.network.head)
        device = prepared.device.name
        self._train = torch.from_numpy(features.of(lesson.train)).to(device)
        self._validation = torch.from_numpy(features.of(lesson.validation)).to(device)

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        seed = self._prepared.spec.hyperparameters.seed
        return plain_steps(len(self._train), HEAD_ROWS_PER_BATCH, seed=seed, epoch=epoch)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [_head_group(self._prepared, self._lesson.network.head)]

    def loss(self, rows: Batch) -> Tensor:
        return self._lesson.goal.loss(self.network(self._train[rows]), self._lesson.train[rows])

    def weight(self, rows: Batch) -> float:
        return self._lesson.goal.weight(self._lesson.train[rows])

    def cost(self, rows: Batch) -> float:
        return float(len(rows))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation):
            return {}
        self.network.eval()
        with torch.inference_mode():
            outputs = self.network(self._validation).float().cpu().numpy()
        self.network.train()
        return self._lesson.goal.validation(outputs, self._lesson.validation)

    def summary(self, metrics: dict[str, float]) -> str:
        return self._lesson.goal.summary(metrics)


def _head_group(prepared: Prepared, head: torch.nn.Module) -> dict[str, Any]:
    dials = prepared.spec.hyperparameters
    factor = optimizing.RATE_FACTORS[dials.optimizer]
    return {
        "params": list(head.parameters()),
        "lr": dials.head_learning_rate * factor,
        "weight_decay": dials.weight_decay,
    }


def open_for(prepared: Prepared, lesson: Lesson, features: Features) -> tuple[Learner, Any]:
    """The learner of the chosen method, and what brings the network back into its plain form."""
    network, method = lesson.network, prepared.method
    if method == "head":
        network.normalise = True  # As the features are.
        return HeadLearner(prepared, lesson, features), lambda: None
    if method == "lora":
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
        return TextLearner(prepared, lesson), lambda: _merge(network)
    if method == "upper" and learning_upper_half(network.encoder):
        network.to(prepared.device.name)
        remembered = _remembered(prepared, lesson)

        def close() -> None:
            network.requires_grad_(True)
            if remembered is not None:
                remembered.forget()

        return TextLearner(prepared, lesson, remembered), close
    # Gradients reach only the words that occur: the other embedding rows need no optimiser.
    used = np.unique(np.concatenate(prepared.rows.ids)).tolist()
    trim = VocabularyTrim(network.encoder, used)
    network.to(prepared.device.name)
    return TextLearner(prepared, lesson), trim.undo


def _remembered(prepared: Prepared, lesson: Lesson) -> RememberedLayers | None:
    """Where it pays and is the same: several epochs on one processor, and nothing random or
    attacked below. It depends on the job alone, so that a resumed one computes the same bits."""
    dials = prepared.spec.hyperparameters
    is_alone = prepared.device.name == "cpu" and distributed.count() == 1
    changes = dials.dropout or dials.adversarial or dials.gradient_checkpointing
    if not is_alone or changes or prepared.epochs < 2:
        return None
    encoder, precision = lesson.network.encoder, prepared.device.precision
    return remember(encoder, prepared.rows, lesson.train, precision)


def _merge(network: TextNetwork) -> None:
    network.encoder = network.encoder.merge_and_unload()
