"""The one training loop: any task that can give a loss for some rows is trained by it.

Batches, checkpoints, resuming, early stopping and reporting live here; what a row is, does not.
Resuming repeats nothing and skips nothing: on a processor the weights come out bit for bit equal.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from engine import distributed, fitting, optimizing, sharing
from engine.batching import Batch, merged
from engine.checkpoints import CheckpointFolder, Saved, TrainingState
from engine.device import Device
from engine.errors import Diverged, StopRequested
from engine.events import CheckpointSaved, Metric, Reporter
from engine.progress import JobClock
from engine.spec import JobSpec, LoopHyperparameters
from engine.stopping import StopSignal

METRIC_POINTS = 200


@dataclass(frozen=True)
class Score:
    """The validation metric that chooses the best epoch, and which way is better."""

    name: str
    higher_is_better: bool = True

    def is_worse(self, value: float, than: float) -> bool:
        return value < than if self.higher_is_better else value > than


class Learner(Protocol):
    """What a task brings: steps of rows, a network, a loss and a validation."""

    score: Score

    @property
    def network(self) -> torch.nn.Module: ...

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        """The batches of every optimiser step of this epoch, the same whenever it is asked."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The optimizer's groups; each `lr` is the peak of its schedule."""

    def loss(self, rows: Batch) -> Tensor:
        """Mean loss of these training rows."""

    def weight(self, rows: Batch) -> float:
        """What these rows count in the mean over a step: their number, or that of their answer
        tokens, or the sum of their class weights."""

    def cost(self, rows: Batch) -> float:
        """What these rows take in memory together, in any unit: tokens with padding, say."""

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        """Metrics by name, empty without validation rows; advance `check` between batches."""

    def summary(self, metrics: dict[str, float]) -> str:
        """The one or two metrics that people want to read after an epoch, in words."""


@dataclass(frozen=True)
class LoopSettings:
    hyperparameters: LoopHyperparameters
    epochs: int
    checkpoint_seconds: float
    device: Device
    halvings: int = 0  # Batches are computed in 2^n pieces, to fit into memory.
    memory_bytes: int | None = None  # Limit of the process; None: what the machine has free.

    @property
    def free_bytes(self) -> float:
        everyone = distributed.count()
        return fitting.free_bytes(self.device.name, self.memory_bytes, processes=everyone)


class TrainingLoop:
    def __init__(
        self,
        learner: Learner,
        settings: LoopSettings,
        *,
        checkpoints: CheckpointFolder,
        clock: JobClock,
        report: Reporter,
        stop: StopSignal,
    ) -> None:
        self._learner, self._settings = learner, settings
        self._checkpoints, self._clock, self._report, self._stop = checkpoints, clock, report, stop
        self.state = TrainingState()
        hyperparameters, device = settings.hyperparameters, settings.device
        self._shared = sharing.share(learner, hyperparameters, device.name, settings.free_bytes)
        self._optimizer = optimizing.make_optimizer(hyperparameters, learner.parameter_groups())
        self._scaler = torch.amp.GradScaler(device.name, enabled=device.precision == "fp16")
        self._peak_rates = [group["lr"] for group in self._optimizer.param_groups]
        self._steps_per_epoch = [len(self._steps_of(epoch)) for epoch in range(settings.epochs)]
        self._best: dict[str, Tensor] | None = None
        self._saved_at = self._started_at = time.monotonic()
        self._rows_before = 0

    @property
    def total_steps(self) -> int:
        return sum(self._steps_per_epoch)

    def run(self, resume: Saved | None) -> TrainingState:
        """Train to the end and leave the best weights in the network."""
        if resume is not None:
            self._restore(resume)
            # As before, for the same bits; unless memory has run out since.
            self.state.halvings = max(self.state.halvings, self._settings.halvings)
        else:
            self.state.halvings = self._halvings_that_fit()
        clock, state = self._clock, self.state
        clock.epochs, clock.total_steps = self._settings.epochs, self.total_steps
        clock.step, clock.epoch = state.step, min(state.epoch + 1, clock.epochs)
        clock.enter("training", 1.0 if state.finished else state.step / self.total_steps)
        self._saved_at = self._started_at = time.monotonic()
        self._rows_before = state.rows_seen
        with self._stop.deferred():
            while not state.finished:
                self._run_epoch()
        if self._best is not None:
            self._shared.load(self._best)
        self._shared.release()
        self._stop.raise_if_requested()
        return state

    def _halvings_that_fit(self) -> int:
        """Measured by a dry run on the largest batch; no more than the settings say if it fits."""
        learner, settings = self._learner, self._settings
        batches = [batch for step in learner.steps_of(0) for batch in step]
        before = optimizing.random_state()
        needs = {}
        learner.network.train()
        for batch in (max(batches, key=len), max(batches, key=learner.cost)):
            with settings.device.autocast():
                needs[len(batch)] = fitting.kept_bytes_per_row(learner.loss, batch)
        optimizing.restore_random_state(before)
        fixed = fitting.fixed_bytes(learner.network, settings.hyperparameters.optimizer)
        fixed *= self._shared.share_of_state
        free = settings.free_bytes
        everyone = distributed.count()
        needs = {-(-rows // everyone): each for rows, each in needs.items()}
        halvings = max(
            fitting.halvings_needed(fixed, each, rows, free) for rows, each in needs.items()
        )
        halvings = max(distributed.of_all(halvings))
        needed = fixed + max(rows * each for rows, each in needs.items()) * fitting.ROOM
        words = f"A step needs about {needed / 2**20:,.0f} MiB; {free / 2**20:,.0f} MiB are free"
        if halvings > settings.halvings:
            self._report.warn(f"{words}: batches are computed in {2**halvings} pieces, one by one.")
        else:
            self._report.info(f"{words}.")
        return max(halvings, settings.halvings)

    def _run_epoch(self) -> None:
        state = self.state
        self._clock.epoch = state.epoch + 1
        steps = self._steps_of(state.epoch)
        self._learner.network.train()
        for batches in steps[state.steps_into_epoch :]:
            must_leave, must_save = self._take_step(batches)
            if must_leave:
                self._leave()
            if must_save:
                self._save(is_best=False)
        self._finish_epoch()

    def _take_step(self, batches: list[Batch]) -> tuple[bool, bool]:
        """Whether to leave after it, and whether to save: all processes do the same."""
        state = self.state
        self._set_learning_rates()
        loss, leave, save = distributed.summed(
            self._accumulate_gradients(batches), self._stop.requested, self._is_save_due()
        )
        if not math.isfinite(loss):
            raise Diverged(
                f"Training diverged: the loss was no longer a number at step {state.step + 1}."
                " Lower the learning rates and launch again."
            )
        self._clip_gradients()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.steps_into_epoch += 1
        state.rows_seen += sum(map(len, batches))
        state.loss_sum += loss
        state.loss_steps += 1
        self._report_step()
        return bool(leave), bool(save)

    def _is_save_due(self) -> bool:
        due_at = self._saved_at + self._settings.checkpoint_seconds
        return distributed.is_first() and time.monotonic() >= due_at

    def _accumulate_gradients(self, batches: list[Batch]) -> float:
        """This process's part of the step's mean loss; its gradients are of the whole step."""
        learner, everyone, total = self._learner, distributed.count(), 0.0
        whole = sum(learner.weight(batch) for batch in batches)
        parts, idle = self._shared.parts_of(batches, self.state.halvings)
        weights = [learner.weight(part) / whole for part in parts] + idle * [0.0]
        parts = parts + idle * [batches[0][:1]]
        for number, (part, weight) in enumerate(zip(parts, weights, strict=True), start=1):
            with self._shared.adding_up(is_last=number == len(parts)):
                with self._settings.device.autocast():
                    loss = self._shared.loss(part) * weight
                # What the processes add up is divided by their number.
                self._scaler.scale(loss * everyone).backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total

    def _clip_gradients(self) -> None:
        largest = self._settings.hyperparameters.gradient_clip
        if largest:
            self._scaler.unscale_(self._optimizer)
            optimizing.clip_gradients(self._learner.network.parameters(), largest)

    def _set_learning_rates(self) -> None:
        factor = optimizing.rate_factor(
            self._settings.hyperparameters, self.state.step, self.total_steps
        )
        for group, peak in zip(self._optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * factor

    def _report_step(self) -> None:
        state, clock = self.state, self._clock
        elapsed = max(1e-6, time.monotonic() - self._started_at)
        clock.rows_per_second = (state.rows_seen - self._rows_before) / elapsed
        clock.step = state.step
        clock.advance(state.step / self.total_steps)
        if state.step % max(1, self.total_steps // METRIC_POINTS) == 0:
            self._report_metric("train_loss", state.loss_sum / state.loss_steps)
            self._report_metric("learning_rate", self._optimizer.param_groups[0]["lr"])
            state.loss_sum, state.loss_steps = 0.0, 0

    def _report_metric(self, name: str, value: float) -> None:
        self._report(
            Metric(name=name, step=self.state.step, epoch=self.state.epoch + 1, value=value)
        )

    def _finish_epoch(self) -> None:
        state, epochs = self.state, self._settings.epochs
        metrics = distributed.from_first(self._learner.validate(self._leave_if_asked()))
        is_best = self._note_score(metrics)
        for name, value in metrics.items():
            self._report_metric(name, value)
        if metrics:
            summary = self._learner.summary(metrics)
            self._report.info(f"Epoch {state.epoch + 1} of {epochs} done · {summary}")
        state.epoch, state.steps_into_epoch = state.epoch + 1, 0
        state.finished = state.epoch >= epochs or self._is_out_of_patience()
        if state.finished and state.epoch < epochs:
            self._report.info(f"Stopped after epoch {state.epoch}: validation no longer improves.")
        self._save(is_best=is_best)

    def _note_score(self, metrics: dict[str, float]) -> bool:
        """Later epochs win ties: their learning rate was lower."""
        state, score = self.state, self._learner.score
        state.last_metrics = metrics
        if metrics:
            value, rises = metrics[score.name], score.higher_is_better
            self._report.scored(score.name, value, higher_is_better=rises)
        best = state.best_metrics.get(score.name)
        if metrics and best is not None and score.is_worse(metrics[score.name], best):
            state.epochs_without_gain += 1
            return False
        state.best_epoch, state.best_step, state.best_metrics = state.epoch, state.step, metrics
        state.epochs_without_gain = 0
        self._best = {
            name: tensor.detach().cpu().clone() for name, tensor in self._shared.learnt().items()
        }
        return True

    def _is_out_of_patience(self) -> bool:
        patience = self._settings.hyperparameters.early_stopping_patience
        return bool(patience) and self.state.epochs_without_gain >= patience

    def _leave_if_asked(self) -> Iterable[None]:
        while True:
            if distributed.is_any(self._stop.requested):
                self._leave()
            yield

    def _leave(self) -> None:
        self._save(is_best=False)
        raise StopRequested

    def _save(self, *, is_best: bool) -> None:
        state = self.state
        now = time.monotonic()
        state.seconds += now - self._saved_at
        self._saved_at = now
        learnt = self._shared.learnt()
        others = {
            "optimizer": sharing.optimizer_state(self._optimizer),
            "scaler": self._scaler.state_dict(),
            "random": distributed.of_all(optimizing.random_state()),
        }
        if not distributed.is_first():
            return
        path = self._checkpoints.save(state, learnt, others, is_best=is_best)
        self._report(
            CheckpointSaved(
                step=state.step,
                epoch=state.epoch,
                path=str(path),
                metrics=state.last_metrics,
                best=is_best,
            )
        )

    def _restore(self, saved: Saved) -> None:
        self.state, self._best = saved.state, saved.best
        self._shared.load(saved.network)
        sharing.load_optimizer(self._optimizer, saved.optimizer["optimizer"])
        self._scaler.load_state_dict(saved.optimizer["scaler"])
        randomness = saved.optimizer["random"]
        if distributed.number() < len(randomness):
            optimizing.restore_random_state(randomness[distributed.number()])

    def _steps_of(self, epoch: int) -> list[list[Batch]]:
        accumulation = self._settings.hyperparameters.accumulation
        return merged(self._learner.steps_of(epoch), accumulation)


def learn(
    learner: Learner,
    spec: JobSpec,
    *,
    epochs: int,
    identity: str,
    device: Device,
    clock: JobClock,
    report: Reporter,
    stop: StopSignal,
    fold: int | None = None,
) -> TrainingState:
    """Train to the end, from the spec's checkpoint when that is of the same `identity`.

    Folds of a cross-validation keep checkpoints of their own and never resume.
    """
    folder = "checkpoints" if fold is None else f"fold-{fold}"
    if not distributed.is_first():  # Only reads; the links it makes are its own.
        folder = f"process-{distributed.number()}-{folder}"
    checkpoints = CheckpointFolder(spec.work / folder, identity)
    settings = LoopSettings(
        hyperparameters=spec.hyperparameters,
        epochs=epochs,
        checkpoint_seconds=spec.checkpoint_seconds,
        device=device,
        halvings=spec.halvings,
        memory_bytes=spec.memory_bytes,
    )
    loop = TrainingLoop(
        learner, settings, checkpoints=checkpoints, clock=clock, report=report, stop=stop
    )
    saved = None
    if spec.resume_from is not None and fold is None:
        saved = checkpoints.load(spec.resume_from)
        if saved is None:
            report.warn("The checkpoint is damaged or of another job: starting from the beginning.")
    return loop.run(saved)
