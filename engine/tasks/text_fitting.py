"""Fits a text classifier: encoder plus linear layer, fine-tuned or probed."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine import baselines, catalog, loading, optimizing
from engine.batching import Batch, batches_by_length, epoch_steps
from engine.checkpoints import CheckpointFolder, TrainingState, fingerprint
from engine.device import Device
from engine.events import Reporter
from engine.metrics import averages, compare
from engine.network import TextClassifierNetwork, VocabularyTrim
from engine.progress import JobClock
from engine.stopping import StopSignal
from engine.tasks.text_preparation import Prepared
from engine.training import LoopSettings, Score, TrainingLoop

VALIDATION_BATCH_TOKENS = 2048
SURE = 0.05


@dataclass
class Trained:
    """The network to export, and what the report says about how it came about."""

    network: TextClassifierNetwork
    method: str  # full or probe: what `network` is.
    reason: str
    probe: baselines.Probe
    probe_test: npt.NDArray[np.float64]  # Its probabilities on the test rows.
    state: TrainingState
    seconds: float


class TextLearner:
    """Brings training rows to the loop. Row numbers in batches count within the training split."""

    score = Score("validation_macro_f1")

    def __init__(self, prepared: Prepared) -> None:
        self._prepared, self._rows = prepared, prepared.rows
        self._train, self._validation = prepared.split.train, prepared.split.validation
        self.network = prepared.network
        self._lengths = [len(self._rows.ids[row]) for row in self._train]
        self._labels = torch.from_numpy(self._rows.labels)

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        hyperparameters = self._prepared.spec.hyperparameters
        return epoch_steps(
            self._lengths, hyperparameters.batch_tokens, seed=hyperparameters.seed, epoch=epoch
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        hyperparameters = self._prepared.spec.hyperparameters
        recommended = catalog.find(self._prepared.spec.base_model).learning_rate
        rate = optimizing.automatic_rate(hyperparameters, recommended)
        decayed: list[torch.nn.Parameter] = []
        plain: list[torch.nn.Parameter] = []
        for name, parameter in self.network.encoder.named_parameters():
            is_matrix = parameter.ndim > 1 and "embedding" not in name.casefold()
            (decayed if is_matrix else plain).append(parameter)
        decay = hyperparameters.weight_decay
        head = list(self.network.head.parameters())
        return [
            {"params": decayed, "lr": rate, "weight_decay": decay},
            {"params": plain, "lr": rate, "weight_decay": 0.0},
            {"params": head, "lr": hyperparameters.head_learning_rate, "weight_decay": decay},
        ]

    def loss(self, rows: Batch) -> Tensor:
        chosen = self._train[rows]
        device = self._prepared.device.name
        logits = self.network(*self._rows.padded(chosen, device))
        return functional.cross_entropy(
            logits.float(),
            self._labels[chosen].to(device),
            label_smoothing=self._prepared.spec.hyperparameters.label_smoothing,
        )

    def weight(self, rows: Batch) -> float:
        return float(len(rows))

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation accuracy {metrics['validation_accuracy']:.1%}"

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation):
            return {}
        logits = predict_logits(self._prepared, self._validation, check)
        labels = self._rows.labels[self._validation]
        loss = functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))
        scores = averages(labels, logits.argmax(1), logits.shape[1])
        return {
            "validation_loss": float(loss),
            "validation_accuracy": scores["accuracy"],
            "validation_macro_f1": scores["macro_f1"],
        }


def predict_logits(
    prepared: Prepared, rows: npt.NDArray[np.int64], check: Iterable[None] = ()
) -> npt.NDArray[np.float32]:
    """Logits (rows, labels) of the network as it stands."""
    return _in_batches(prepared, rows, prepared.network, check)


def embed(
    prepared: Prepared, rows: npt.NDArray[np.int64], clock: JobClock
) -> npt.NDArray[np.float32]:
    """Unit-length sentence embeddings (rows, hidden) of the encoder as it stands."""

    def embedding(ids: Tensor, mask: Tensor) -> Tensor:
        return functional.normalize(prepared.network.embed(ids, mask), dim=-1)

    lengths = [len(prepared.rows.ids[row]) for row in rows]
    batches = len(batches_by_length(lengths, VALIDATION_BATCH_TOKENS))
    return _in_batches(prepared, rows, embedding, _advancing(clock, batches))


def _advancing(clock: JobClock, batches: int) -> Iterable[None]:
    for done in range(batches):
        clock.advance(0.9 * done / batches)  # The rest is fitting the probe.
        yield


def _in_batches(
    prepared: Prepared, rows: npt.NDArray[np.int64], compute: Any, check: Iterable[None]
) -> npt.NDArray[np.float32]:
    prepared.network.eval()
    ticks = iter(check)
    results: dict[int, npt.NDArray[np.float32]] = {}
    lengths = [len(prepared.rows.ids[row]) for row in rows]
    for batch in batches_by_length(lengths, VALIDATION_BATCH_TOKENS):
        next(ticks, None)
        with torch.inference_mode(), prepared.device.autocast():
            output = compute(*prepared.rows.padded(rows[batch], prepared.device.name))
        results.update(zip(batch.tolist(), output.float().cpu().numpy(), strict=True))
    return np.stack([results[position] for position in range(len(rows))])


def fit(prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal) -> Trained:
    """Fit the probe, fine-tune unless only the probe was asked for, keep the better."""
    spec, divided = prepared.spec, prepared.split
    started_at = time.monotonic()
    sample = baselines.sample_rows(divided.train, spec.split.seed)
    rows = np.concatenate([sample, divided.validation, divided.test])
    embeddings = embed(prepared, rows, clock)
    labels = prepared.rows.labels
    count = len(prepared.examples.label_names)
    probe = baselines.fit_probe(embeddings[: len(sample)], labels[sample], count)
    held_out = probe.probabilities(embeddings[len(sample) :])
    on_validation = held_out[: len(divided.validation)]
    on_test = held_out[len(divided.validation) :]
    if len(divided.validation):
        right = float((on_validation.argmax(1) == labels[divided.validation]).mean())
        report.info(f"Quick probe of the frozen base model: validation accuracy {right:.1%}")
    if spec.hyperparameters.method == "probe":
        start_from_probe(prepared.network, probe)
        network = prepared.network.to("cpu").eval()
        state = TrainingState(finished=True)
        return Trained(network, "probe", "", probe, on_test, state, time.monotonic() - started_at)
    start_from_probe(prepared.network, probe)
    state = fine_tune(prepared, clock, report, stop)
    trained = Trained(prepared.network, "full", "", probe, on_test, state, state.seconds)
    return _keep_the_better(prepared, trained, on_validation, report)


def fine_tune(
    prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
) -> TrainingState:
    """Train all weights, from the checkpoint in the spec if it fits this job."""
    spec, network = prepared.spec, prepared.network
    # Gradients reach only the words that occur: the other embedding rows need no optimiser.
    used = np.unique(np.concatenate(prepared.rows.ids)).tolist()
    trim = VocabularyTrim(network.encoder, used)
    network.to(prepared.device.name)
    identity = fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(),
        spec.split.model_dump(),
        prepared.examples.label_names,
        fingerprint([ids.tolist() for ids in prepared.rows.ids[:1000]], len(prepared.rows.ids)),
    )
    checkpoints = CheckpointFolder(spec.work / "checkpoints", identity)
    settings = LoopSettings(
        hyperparameters=spec.hyperparameters,
        epochs=spec.hyperparameters.planned_epochs(len(prepared.split.train)),
        checkpoint_seconds=spec.checkpoint_seconds,
        device=prepared.device,
        halvings=spec.halvings,
    )
    loop = TrainingLoop(
        TextLearner(prepared),
        settings,
        checkpoints=checkpoints,
        clock=clock,
        report=report,
        stop=stop,
    )
    saved = None
    if spec.resume_from is not None:
        saved = checkpoints.load(spec.resume_from)
        if saved is None:
            report.warn("The checkpoint is damaged or of another job: starting from the beginning.")
    state = loop.run(saved)
    trim.undo()
    network.to("cpu")
    return state


def start_from_probe(network: TextClassifierNetwork, probe: baselines.Probe) -> None:
    """Take the probe as linear layer. From there one epoch gets as far as two from nothing."""
    network.normalise = True
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(probe.weights))
        network.head.bias.copy_(torch.from_numpy(probe.bias))


def _keep_the_better(
    prepared: Prepared,
    trained: Trained,
    probe_validation: npt.NDArray[np.float64],
    report: Reporter,
) -> Trained:
    """The fine-tuned model, unless the probe beats it on validation by more than chance."""
    validation = prepared.split.validation
    if not len(validation):
        return trained
    device, prepared.device = prepared.device, Device("cpu", prepared.device.precision)
    tuned = predict_logits(prepared, validation).argmax(1)
    prepared.device = device
    labels = prepared.rows.labels[validation]
    outcome = compare(tuned, probe_validation.argmax(1), labels)
    probe_wins = outcome["other_only_right"] > outcome["tuned_only_right"]
    if not probe_wins or outcome["p_value"] >= SURE:
        return trained
    encoder = loading.load_encoder(prepared.base_folder)
    trained.network = TextClassifierNetwork(encoder, len(trained.probe.bias)).eval()
    start_from_probe(trained.network, trained.probe)
    trained.method = "probe"
    trained.reason = (
        "Fine-tuning did worse than the quick probe on validation rows"
        f" (p = {outcome['p_value']:.3f}), so the probe was kept."
    )
    report.warn(trained.reason)
    return trained
