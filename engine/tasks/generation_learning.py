"""What language model jobs bring to the training loop, and how their network is fitted."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import peft
import torch
from torch import Tensor

from engine import catalog, optimizing
from engine.batching import Batch, batches_by_length, epoch_steps
from engine.checkpoints import TrainingState, fingerprint
from engine.events import Reporter
from engine.generation.batches import (
    answer_losses,
    binned,
    learnt_tokens,
    lines_of,
    one_a_line,
    packed_steps,
)
from engine.generation.rendering import Taught
from engine.progress import JobClock
from engine.stopping import StopSignal
from engine.tasks.generation_preparation import Prepared, lengths_of
from engine.training import Score, learn

VALIDATION_BATCH_TOKENS = 2048
MOST_VALIDATED = 1000  # Sequences; more would only cost time.
MOST_PERPLEXITY_EXPONENT = 700.0


@dataclass
class Trained:
    """The network as it was trained: under LoRA with its added matrices still beside it."""

    network: Any
    state: TrainingState
    seconds: float


class GenerationLearner:
    """Brings answers to the loop. Batch numbers count sequences of the training split."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self.network: torch.nn.Module = _adapted(prepared)
        self.score = Score("validation_loss", higher_is_better=False)
        self._train = prepared.sequences(prepared.split.train)
        self._validation = prepared.sequences(prepared.split.validation)[:MOST_VALIDATED]
        self._lengths = lengths_of(self._train).tolist()
        self._learnt = [learnt_tokens(one) for one in self._train]

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        dials = self._prepared.spec.hyperparameters
        cut = packed_steps if dials.packing else epoch_steps
        return cut(self._lengths, dials.batch_tokens, seed=dials.seed, epoch=epoch)

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
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim > 1 and "embed" not in name.casefold()
                (decayed if is_matrix else plain).append(parameter)
        groups = [
            {"params": decayed, "lr": rate, "weight_decay": dials.weight_decay},
            {"params": plain, "lr": rate, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def loss(self, rows: Batch) -> Tensor:
        sequences = [self._train[row] for row in rows.tolist()]
        lengths = [len(one.ids) for one in sequences]
        if self._prepared.spec.hyperparameters.packing:
            bins = binned(lengths, self._prepared.max_length)
        else:
            bins = [[place] for place in range(len(sequences))]
        losses, _ = answer_losses(
            self.network, lines_of(sequences, bins, self._prepared.device.name)
        )
        return losses.mean()

    def weight(self, rows: Batch) -> float:
        return float(sum(self._learnt[row] for row in rows.tolist()))

    def cost(self, rows: Batch) -> float:
        return float(len(rows) * max(self._lengths[row] for row in rows.tolist()))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not self._validation:
            return {}
        with self._prepared.device.autocast():
            losses, tokens = losses_of(
                self.network, self._validation, self._prepared.device.name, check
            )
        loss = float(losses.sum() / tokens.sum())
        return {
            "validation_loss": loss,
            "validation_perplexity": math.exp(min(loss, MOST_PERPLEXITY_EXPONENT)),
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return (
            f"loss of an answer's token {metrics['validation_loss']:.3f}, perplexity"
            f" {metrics['validation_perplexity']:.4g}"
        )


def _adapted(prepared: Prepared) -> Any:
    """The base model ready to learn by the chosen method; the same whenever it is asked for."""
    dials = prepared.spec.hyperparameters
    network: Any = prepared.new_network()
    if dials.gradient_checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    if prepared.method == "full":
        return network
    config = peft.LoraConfig(
        r=dials.lora_rank,
        lora_alpha=dials.lora_alpha,
        lora_dropout=dials.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(network, config)


def losses_of(
    network: torch.nn.Module,
    sequences: Sequence[Taught],
    device: str,
    check: Iterable[None] = (),
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Summed loss and number of learnt tokens of each sequence."""
    network.eval()
    ticks = iter(check)
    losses = np.zeros(len(sequences))
    lengths = lengths_of(list(sequences)).tolist()
    for batch in batches_by_length(lengths, VALIDATION_BATCH_TOKENS):
        next(ticks, None)
        with torch.inference_mode():
            lines = one_a_line([sequences[row] for row in batch], device)
            each, line = answer_losses(network, lines)
        np.add.at(losses, batch[line.cpu().numpy()], each.double().cpu().numpy())
    return losses, np.array([learnt_tokens(one) for one in sequences], dtype=np.int64)


def fit(prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal) -> Trained:
    """Train by the loop, from the checkpoint in the spec if it fits this job."""
    spec = prepared.spec
    learner = GenerationLearner(prepared)
    train = prepared.sequences(prepared.split.train)
    identity = fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(),
        spec.split.model_dump(),
        prepared.max_length,
        int(lengths_of(train).sum()),
        len(prepared.chats.chats),
    )
    if spec.resume_from is None and (before := learner.validate(_until(stop))):
        report.info(f"Before training: {learner.summary(before)}")
    state = learn(
        learner,
        spec,
        epochs=prepared.epochs,
        identity=identity,
        device=prepared.device,
        clock=clock,
        report=report,
        stop=stop,
    )
    return Trained(learner.network.eval(), state, state.seconds)


def _until(stop: StopSignal) -> Iterable[None]:
    """For loops outside the training loop, which leaves by itself."""
    while True:
        stop.raise_if_requested()
        yield
