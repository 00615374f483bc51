"""Fits the members of a picture model, and keeps those that do best on validation rows."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine import baselines, catalog, optimizing
from engine.batching import Batch, plain_steps
from engine.checkpoints import TrainingState, fingerprint
from engine.events import Reporter
from engine.images import augmenting
from engine.images.answering import AnsweringModel, FeatureView, Outputs, fit_head, outputs_of
from engine.images.network import PictureNetwork
from engine.images.preprocessing import as_input
from engine.progress import JobClock
from engine.stopping import StopSignal
from engine.tasks.image_preparation import Prepared
from engine.training import Score, learn

MIRRORED_BELOW = 5000  # Rows; with more of them mirror images add time and little else.
# A lower validation loss than this share is needed to prefer fewer members: means of different
# models are steadier than any one of them.
WORTH_LEAVING_OUT = 0.01
Rows = npt.NDArray[np.int64]


@dataclass
class Trained:
    """The members kept, by name, and what the report says about how they came about."""

    members: dict[str, PictureNetwork]
    losses: dict[str, float]  # Validation loss of everything that was tried.
    state: TrainingState
    seconds: float
    head_test: Outputs | None  # The frozen features' answers on the test rows.
    reason: str = ""
    mirrored: bool = False

    @property
    def method(self) -> str:
        return " + ".join(self.members)

    @property
    def answering(self) -> AnsweringModel:
        return AnsweringModel(self.members, mirrored=self.mirrored)


class PictureLearner:
    """Brings augmented pictures to the loop. A batch's number is epoch times rows plus the place
    in the training split, so that what is drawn for a row follows from the batch alone."""

    def __init__(self, prepared: Prepared, network: PictureNetwork) -> None:
        self._prepared, self.network = prepared, network
        self._train = prepared.split.train
        self._validation = prepared.split.validation
        # Its loss tells more than the accuracy on few rows, and is what members are chosen by.
        self.score = Score("validation_loss", higher_is_better=False)

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        hyperparameters, count = self._prepared.spec.hyperparameters, len(self._train)
        steps = plain_steps(
            count, hyperparameters.batch_rows, seed=hyperparameters.seed, epoch=epoch
        )
        return [[batch + epoch * count for batch in step] for step in steps]

    def parameter_groups(self) -> list[dict[str, Any]]:
        dials = self._prepared.spec.hyperparameters
        recommended = catalog.find(self._prepared.spec.base_model).learning_rate
        return optimizing.parameter_groups(self.network, dials, recommended)

    def loss(self, rows: Batch) -> Tensor:
        hyperparameters = self._prepared.spec.hyperparameters
        chosen, epoch = self._rows(rows), int(rows[0]) // len(self._train)
        pixels = torch.from_numpy(as_input(self._prepared.pixels(chosen)))
        pixels = pixels.to(self._prepared.device.name)
        if hyperparameters.augmentation != "none":
            draws = augmenting.draw(
                chosen,
                seed=hyperparameters.seed,
                epoch=epoch,
                kind=hyperparameters.augmentation,
            )
            with torch.autocast(pixels.device.type, enabled=False):
                pixels = augmenting.apply(pixels, draws)
        return self._prepared.goal.loss(self.network(pixels), chosen)

    def weight(self, rows: Batch) -> float:
        return self._prepared.goal.weight(self._rows(rows))

    def cost(self, rows: Batch) -> float:
        return float(len(rows))

    def _rows(self, rows: Batch) -> Rows:
        chosen: Rows = self._train[rows % len(self._train)]
        return chosen

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation):
            return {}
        outputs = outputs_of(self.network, self._prepared.pixels(self._validation), check)
        return self._prepared.goal.validation(outputs, self._validation)

    def summary(self, metrics: dict[str, float]) -> str:
        return self._prepared.goal.summary(metrics)


@dataclass
class _Fitting:
    prepared: Prepared
    report: Reporter
    members: dict[str, PictureNetwork] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)

    def fit_head(self, rows: Rows) -> PictureNetwork:
        """The linear layer on frozen features of these rows and, with few, their mirror images."""
        prepared = self.prepared
        rows = baselines.sample_rows(rows, prepared.spec.split.seed)
        network = prepared.frozen_network()
        mirrored = prepared.is_mirrored and len(rows) < MIRRORED_BELOW
        views = [False, True] if mirrored else [False]
        features = [self._features(network, rows, mirror) for mirror in views]
        balanced = prepared.spec.hyperparameters.class_weights == "balanced"
        fit_head(network, features, prepared.pictures.labels[rows], balanced=balanced)
        return network

    def _features(self, network: PictureNetwork, rows: Rows, mirror: bool) -> Outputs:
        """What an earlier trial of a search embedded is not embedded again."""
        known, key = self.prepared.embedded, (rows.tobytes(), mirror)
        if key not in known:
            pixels = self.prepared.pixels(rows)
            known[key] = outputs_of(FeatureView(network), pixels, mirror=mirror)
        found: Outputs = known[key]
        return found

    def outputs(self, members: dict[str, PictureNetwork], rows: Rows) -> Outputs:
        answering = AnsweringModel(members, mirrored=self.prepared.is_mirrored)
        return outputs_of(answering, self.prepared.pixels(rows))

    def choose(self) -> str:
        """Keep the members whose mean does best on validation rows; the reason in words."""
        rows = self.prepared.split.validation
        if len(self.members) == 1 or not len(rows):
            return ""
        for names in self._subsets():
            outputs = self.outputs({name: self.members[name] for name in names}, rows)
            found = self.prepared.goal.validation(outputs, rows)
            self.losses[" + ".join(names)] = found["validation_loss"]
        kept = self._best()
        self.members = {name: self.members[name] for name in kept}
        words = {
            "network": "the trained network",
            "head": f"the linear layer on {self.prepared.base.frozen_name}",
        }
        reason = f"On validation rows {' and '.join(words[name] for name in kept)} did best"
        reason += ": their mean is what answers." if len(kept) > 1 else " and was kept."
        self.report.info(reason)
        return reason

    def _subsets(self) -> list[list[str]]:
        """The largest first. Two copies of a large base model are not worth their time."""
        names = list(self.members)
        largest = len(names) if self.prepared.base.is_scratch else 1
        sizes = range(largest, 0, -1)
        return [list(some) for size in sizes for some in itertools.combinations(names, size)]

    def _best(self) -> list[str]:
        """Fewer members only when that is clearly better."""
        best: str | None = None
        for names, value in self.losses.items():
            if best is None or value < self.losses[best] * (1 - WORTH_LEAVING_OUT):
                best = names
        assert best is not None
        return best.split(" + ")


def fit(prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal) -> Trained:
    """Fit what the method asks for: the quick layer first, then the network."""
    started_at = time.monotonic()
    divided, method = prepared.split, prepared.spec.hyperparameters.method
    fitting = _Fitting(prepared, report)
    clock.enter("training")
    head = fitting.fit_head(divided.train)
    head_test = fitting.outputs({"head": head}, divided.test)
    stop.raise_if_requested()
    state = TrainingState(finished=True)
    if method in ("auto", "full"):
        fitting.members["network"], state = _train_network(prepared, head, clock, report, stop)
    if method in ("auto", "head"):
        fitting.members["head"] = head
    reason = fitting.choose()
    if "head" in fitting.members:  # It needed no validation rows to stop by: now it has them too.
        everything = np.sort(np.concatenate([divided.train, divided.validation]))
        fitting.members["head"] = fitting.fit_head(everything)
    for member in fitting.members.values():
        member.to("cpu").eval()
    return Trained(
        fitting.members,
        fitting.losses,
        state,
        max(state.seconds, time.monotonic() - started_at),
        head_test if list(fitting.members) != ["head"] else None,
        reason,
        prepared.is_mirrored,
    )


def _train_network(
    prepared: Prepared, head: PictureNetwork, clock: JobClock, report: Reporter, stop: StopSignal
) -> tuple[PictureNetwork, TrainingState]:
    """By the loop, from the checkpoint in the spec if it fits this job."""
    spec, network = prepared.spec, prepared.new_network()
    if not prepared.base.is_scratch:  # Both have the same features to begin with.
        network.head.load_state_dict(head.head.state_dict())
    learner = PictureLearner(prepared, network)
    identity = fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(),
        spec.division.model_dump(),
        prepared.base.look.model_dump(),
        prepared.pictures.label_names,
        prepared.pictures.digests,
    )
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
    return network.eval(), state
