"""What text jobs bring to the training loop: fine-tuning an encoder, or only the layer on top."""

import contextlib
import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine import catalog, frozen_encoder, optimizing
from engine.attacking import perturbation, shifted
from engine.batching import Batch, batches_by_length, epoch_steps, plain_steps
from engine.frozen_encoder import COMPARED_ROWS, SMALLEST_LIKENESS, FrozenEncoder
from engine.goals import Goal
from engine.goals.outline import Outputs, Rows
from engine.network import TextNetwork, VocabularyTrim, learning_upper_half
from engine.tasks.text_preparation import Prepared
from engine.training import Learner

VALIDATION_BATCH_TOKENS = 2048
# Tokens and rows of a batch at which each is quickest.
TORCH_BATCH, FILE_BATCH = (4096, 256), (1024, 64)
TOKENS_WORTH_FILES = 20_000  # Fewer are embedded before the files could be made.
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

    def __init__(self, prepared: Prepared, lesson: Lesson) -> None:
        self._prepared, self._lesson, self._rows = prepared, lesson, prepared.rows
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

    def __init__(self, prepared: Prepared, lesson: Lesson, features: "Features") -> None:
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


def open_for(prepared: Prepared, lesson: Lesson, features: "Features") -> tuple[Learner, Any]:
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
        return TextLearner(prepared, lesson), lambda: network.requires_grad_(True)
    # Gradients reach only the words that occur: the other embedding rows need no optimiser.
    used = np.unique(np.concatenate(prepared.rows.ids)).tolist()
    trim = VocabularyTrim(network.encoder, used)
    network.to(prepared.device.name)
    return TextLearner(prepared, lesson), trim.undo


def _merge(network: TextNetwork) -> None:
    network.encoder = network.encoder.merge_and_unload()


class Features:
    """Unit-length embeddings of some rows by the encoder as it was."""

    def __init__(self, rows: Rows, values: Outputs, frozen: FrozenEncoder | None = None) -> None:
        self.frozen = frozen  # What made them; None: torch.
        self._order = np.argsort(rows)
        self._rows, self._values = rows[self._order], values

    def has(self, rows: Rows) -> bool:
        return bool(np.isin(rows, self._rows).all())

    def of(self, rows: Rows) -> Outputs:
        chosen: Outputs = self._values[self._order[np.searchsorted(self._rows, rows)]]
        return chosen


def predict(
    prepared: Prepared, network: TextNetwork, rows: Rows, check: Iterable[None] = ()
) -> Outputs:
    """Outputs (rows, outputs) of the network as it stands."""
    lengths = [len(prepared.rows.ids[row]) for row in rows]
    batches = batches_by_length(lengths, VALIDATION_BATCH_TOKENS)
    network.eval()
    with prepared.device.autocast():
        return _in_batches(prepared, rows, batches, network, check)


def embed(
    prepared: Prepared, network: TextNetwork, rows: Rows, advance: Callable[[float], None]
) -> Features:
    """By a network that has learnt nothing yet; an earlier trial's embeddings are taken over."""
    unique = np.unique(rows)
    for known in prepared.embedded:
        if known.has(unique):
            found: Features = known
            return found
    frozen = _frozen(prepared, network, unique)
    reader, shape = _reader(prepared, network, frozen), FILE_BATCH if frozen else TORCH_BATCH
    lengths = [len(prepared.rows.ids[row]) for row in unique]
    batches = batches_by_length(lengths, *shape)
    ticks = _advancing(advance, len(batches))
    values = _in_batches(prepared, unique, batches, reader, ticks)
    features = Features(unique, values, frozen)
    prepared.embedded[:] = [features]
    return features


def _frozen(prepared: Prepared, network: TextNetwork, rows: Rows) -> FrozenEncoder | None:
    """The base model's files, for a processor, where the rows are worth it and eight bits do to
    this encoder what they should. Which one reads a job's rows depends on the job alone."""
    exact = prepared.spec.hyperparameters.precision == "fp32"
    if prepared.device.name != "cpu" or prepared.base_folder is None or exact:
        return None
    if sum(len(prepared.rows.ids[row]) for row in rows) < TOKENS_WORTH_FILES:
        return None
    with contextlib.suppress(Exception):  # Of exporters and disks; torch reads the rows then.
        found = frozen_encoder.kept(network, prepared.base_folder)
        ids, mask = prepared.rows.padded(rows[:COMPARED_ROWS], "cpu")
        alike = frozen_encoder.likeness(found.embedder(1), network, ids, mask)
        return found if alike >= SMALLEST_LIKENESS else None
    return None


def _reader(
    prepared: Prepared, network: TextNetwork, frozen: FrozenEncoder | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Where training multiplies in bfloat16, a copy of the network computes in it throughout:
    twice as quick as casting around every product."""
    if frozen is not None:
        return frozen.embedder(torch.get_num_threads())
    reader = network
    if prepared.device.precision == "bf16":
        reader = copy.deepcopy(network).to(torch.bfloat16)
    reader.eval()
    return lambda ids, mask: functional.normalize(reader.embed(ids, mask), dim=-1)


def _advancing(advance: Callable[[float], None], batches: int) -> Iterable[None]:
    for done in range(batches):
        advance(0.9 * done / batches)  # The rest is fitting the probe.
        yield


def _in_batches(
    prepared: Prepared, rows: Rows, batches: list[Batch], compute: Any, check: Iterable[None]
) -> npt.NDArray[np.float32]:
    ticks = iter(check)
    results: dict[int, npt.NDArray[np.float32]] = {}
    for batch in batches:
        next(ticks, None)
        with torch.inference_mode():
            output = compute(*prepared.rows.padded(rows[batch], prepared.device.name))
        results.update(zip(batch.tolist(), output.float().cpu().numpy(), strict=True))
    return np.stack([results[position] for position in range(len(rows))])
