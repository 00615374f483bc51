"""Fits the members of an image model, and keeps those that do best on validation rows."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from engine.data import baselines
from engine.data.batching import Batch, shuffled_batches
from engine.events import Reporter
from engine.loop import optimizers
from engine.loop.checkpoints import TrainingState, fingerprint
from engine.loop.interface import ValidationMetric
from engine.loop.training_loop import run_training_loop
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal
from engine.tasks.image.augmented_quality import measure_augmented_quality
from engine.tasks.image.data import augmentation
from engine.tasks.image.data.preprocessing import to_network_input
from engine.tasks.image.ensemble import (
    EnsembleModel,
    FeatureExtractor,
    Outputs,
    compute_outputs,
    fit_head,
)
from engine.tasks.image.network import ImageNetwork
from engine.tasks.image.prepare import PreparedImages
from engine.tasks.shared import Rows

MAX_MIRRORED_ROWS = 5000  # With more rows, mirror images add time and little else.
# A lower validation loss than this share is needed to prefer fewer members: means of different
# models are steadier than any one of them.
MIN_SUBSET_GAIN = 0.01


@dataclass
class FittedImages:
    """The members kept, by name, and how they were chosen."""

    members: dict[str, ImageNetwork]
    losses: dict[str, float]  # Validation loss of everything that was tried.
    state: TrainingState
    seconds: float
    head_test_outputs: Outputs | None  # The frozen features' answers on the test rows.
    reason: str = ""
    mirrored: bool = False
    # Accuracy on augmented validation rows: of the quick layer, and of the network.
    augmented_quality: list[float] = field(default_factory=list)

    @property
    def method(self) -> str:
        return " + ".join(self.members)

    @property
    def ensemble(self) -> EnsembleModel:
        return EnsembleModel(self.members, mirrored=self.mirrored)


class ImageLearner:
    """Augmented images for the training loop. A batch's number is epoch times rows plus the index
    in the training split, so that what is drawn for a row follows from the batch alone."""

    def __init__(self, prepared: PreparedImages, network: ImageNetwork) -> None:
        self._prepared, self.network = prepared, network
        self._train = prepared.split.train
        self._validation = prepared.split.validation
        # On few rows the loss tells more than the accuracy; members are chosen by it too.
        self.score = ValidationMetric("validation_loss", higher_is_better=False)

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        hyperparameters, count = self._prepared.spec.hyperparameters, len(self._train)
        steps = shuffled_batches(
            count, hyperparameters.batch_rows, seed=hyperparameters.seed, epoch=epoch
        )
        return [[batch + epoch * count for batch in step] for step in steps]

    def parameter_groups(self) -> list[optimizers.ParameterGroup]:
        return optimizers.parameter_groups(
            self.network,
            self._prepared.spec.hyperparameters,
            self._prepared.recommended_learning_rate,
        )

    def loss(self, rows: Batch) -> Tensor:
        hyperparameters = self._prepared.spec.hyperparameters
        train_rows, epoch = self._train_rows(rows), int(rows[0]) // len(self._train)
        pixels = torch.from_numpy(to_network_input(self._prepared.pixels(train_rows)))
        pixels = pixels.to(self._prepared.device.name)
        if hyperparameters.augmentation != "none":
            params = augmentation.sample_params(
                train_rows,
                seed=hyperparameters.seed,
                epoch=epoch,
                kind=hyperparameters.augmentation,
            )
            with torch.autocast(pixels.device.type, enabled=False):
                pixels = augmentation.augment(pixels, params)
        if not hyperparameters.mixup:
            return self._prepared.prediction_head.loss(self.network(pixels), train_rows)
        return self._mixed_loss(pixels, train_rows, epoch)

    def _mixed_loss(self, pixels: Tensor, rows: Rows, epoch: int) -> Tensor:
        hyperparameters, head = self._prepared.spec.hyperparameters, self._prepared.prediction_head
        others, shares = augmentation.sample_mixup(
            rows, seed=hyperparameters.seed, epoch=epoch, alpha=hyperparameters.mixup
        )
        outputs = self.network(shares * pixels + (1 - shares) * pixels[others])
        return shares * head.loss(outputs, rows) + (1 - shares) * head.loss(outputs, rows[others])

    def weight(self, rows: Batch) -> float:
        return self._prepared.prediction_head.weight(self._train_rows(rows))

    def memory_cost(self, rows: Batch) -> float:
        return float(len(rows))

    def _train_rows(self, rows: Batch) -> Rows:
        return np.asarray(self._train[rows % len(self._train)])

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation):
            return {}
        outputs = compute_outputs(self.network, self._prepared.pixels(self._validation), check)
        return self._prepared.prediction_head.validation(outputs, self._validation)

    def summary(self, metrics: dict[str, float]) -> str:
        return self._prepared.prediction_head.summary(metrics)


@dataclass
class _EnsembleFit:
    """The members of one job as they are fitted."""

    prepared: PreparedImages
    report: Reporter
    members: dict[str, ImageNetwork] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)

    def fit_head(self, rows: Rows) -> ImageNetwork:
        """The linear layer on frozen features of these rows and, with few, their mirror images."""
        prepared = self.prepared
        rows = baselines.sample_training_rows(rows, prepared.spec.split.seed)
        network = prepared.create_frozen_network()
        is_mirrored = prepared.is_mirrored and len(rows) < MAX_MIRRORED_ROWS
        features = []
        for mirror in (False, True) if is_mirrored else (False,):
            key = (rows.tobytes(), mirror)
            if key not in prepared.embedding_cache:
                prepared.embedding_cache[key] = compute_outputs(
                    FeatureExtractor(network), prepared.pixels(rows), mirror=mirror
                )
            features.append(prepared.embedding_cache[key])
        balanced = prepared.spec.hyperparameters.class_weights == "balanced"
        fit_head(network, features, prepared.images.labels[rows], balanced=balanced)
        return network

    def outputs(self, members: dict[str, ImageNetwork], rows: Rows) -> Outputs:
        ensemble = EnsembleModel(members, mirrored=self.prepared.is_mirrored)
        return compute_outputs(ensemble, self.prepared.pixels(rows))

    def select_members(self) -> str:
        """Keep the members whose mean does best on validation rows; returns the reason in words."""
        rows = self.prepared.split.validation
        if len(self.members) == 1 or not len(rows):
            return ""
        for names in self._candidate_subsets():
            outputs = self.outputs({name: self.members[name] for name in names}, rows)
            metrics = self.prepared.prediction_head.validation(outputs, rows)
            self.losses[" + ".join(names)] = metrics["validation_loss"]
        members = select_subset(self.losses)
        self.members = {name: self.members[name] for name in members}
        words = {
            "network": "the trained network",
            "head": f"the linear layer on {self.prepared.base.frozen_backbone_name}",
        }
        reason = f"On validation rows {' and '.join(words[name] for name in members)} did best"
        reason += ": their mean is what answers." if len(members) > 1 else " and was kept."
        self.report.info(reason)
        return reason

    def _candidate_subsets(self) -> list[list[str]]:
        """The largest first. Two copies of a large base model are not worth their time."""
        names = list(self.members)
        largest = len(names) if self.prepared.base.is_scratch else 1
        sizes = range(largest, 0, -1)
        return [list(some) for size in sizes for some in itertools.combinations(names, size)]


def select_subset(losses: dict[str, float]) -> list[str]:
    """The names joined in the key of the lowest loss; a later key only when it is clearly lower."""
    best, *others = losses
    for names in others:
        if losses[names] < losses[best] * (1 - MIN_SUBSET_GAIN):
            best = names
    return best.split(" + ")


def fit(
    prepared: PreparedImages, progress: ProgressTracker, report: Reporter, stop: StopSignal
) -> FittedImages:
    """Fit what the method asks for: the quick layer first, then the network."""
    started_at = time.monotonic()
    split, method = prepared.split, prepared.spec.effective_method
    ensemble = _EnsembleFit(prepared, report)
    progress.start_phase("training")
    head = ensemble.fit_head(split.train)
    head_test_outputs = ensemble.outputs({"head": head}, split.test)
    stop.raise_if_requested()
    state, augmented_quality = TrainingState(finished=True), []
    if method in ("auto", "full"):
        network, state = _train_network(prepared, head, progress, report, stop)
        ensemble.members["network"] = network
        augmented_quality = measure_augmented_quality(prepared, [head, network])
    if method in ("auto", "head"):
        ensemble.members["head"] = head
    reason = ensemble.select_members()
    if "head" in ensemble.members:  # Not stopped by validation rows: it may learn them too.
        rows = np.sort(np.concatenate([split.train, split.validation]))
        ensemble.members["head"] = ensemble.fit_head(rows)
    for member in ensemble.members.values():
        member.to("cpu").eval()
    return FittedImages(
        ensemble.members,
        ensemble.losses,
        state,
        max(state.seconds, time.monotonic() - started_at),
        head_test_outputs if list(ensemble.members) != ["head"] else None,
        reason,
        prepared.is_mirrored,
        augmented_quality,
    )


def _train_network(
    prepared: PreparedImages,
    head: ImageNetwork,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> tuple[ImageNetwork, TrainingState]:
    """By the loop, from the checkpoint in the spec if it fits this job."""
    spec, network = prepared.spec, prepared.create_network()
    if not prepared.base.is_scratch:  # Both have the same features to begin with.
        network.head.load_state_dict(head.head.state_dict())
    identity = fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(),
        spec.effective_split.model_dump(),
        prepared.base.image_transform.model_dump(),
        prepared.images.label_names,
        prepared.images.digests,
    )
    state = run_training_loop(
        ImageLearner(prepared, network),
        spec,
        epochs=prepared.epochs,
        identity=identity,
        device=prepared.device,
        clock=progress,
        report=report,
        stop=stop,
    )
    return network.eval(), state
