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

from engine.batching import Batch, epoch_steps
from engine.checkpoints import CheckpointFolder, Saved, TrainingState
from engine.device import Device
from engine.errors import Diverged, StopRequested
from engine.events import CheckpointSaved, Metric, Reporter
from engine.progress import JobClock
from engine.spec import Hyperparameters
from engine.stopping import StopSignal

LARGEST_GRADIENT_NORM = 1.0
METRIC_POINTS = 200
SCORE = "validation_macro_f1"


class Learner(Protocol):
    """What a task brings: rows with lengths, a network, a loss and a validation."""

    @property
    def network(self) -> torch.nn.Module: ...

    lengths: list[int]  # Tokens (or other cost) of each training row.

    def parameter_groups(self) -> list[dict[str, Any]]:
        """AdamW groups; each `lr` is the peak of its schedule."""

    def loss(self, rows: Batch) -> Tensor:
        """Mean loss of these training rows."""

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        """Metrics by name, empty without validation rows; advance `check` between batches."""


@dataclass(frozen=True)
class LoopSettings:
    hyperparameters: Hyperparameters
    epochs: int
    checkpoint_seconds: float
    device: Device


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
        self._optimizer = torch.optim.AdamW(learner.parameter_groups(), fused=True)
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
            self._learner.network.load_state_dict(self._best)
        self._stop.raise_if_requested()
        return state

    def _run_epoch(self) -> None:
        state = self.state
        self._clock.epoch = state.epoch + 1
        steps = self._steps_of(state.epoch)
        self._learner.network.train()
        for batches in steps[state.steps_into_epoch :]:
            self._take_step(batches)
            if self._stop.requested:
                self._leave()
            if time.monotonic() - self._saved_at >= self._settings.checkpoint_seconds:
                self._save(is_best=False)
        self._finish_epoch()

    def _take_step(self, batches: list[Batch]) -> None:
        state = self.state
        self._set_learning_rates()
        loss = self._accumulate_gradients(batches)
        self._clip_gradients()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.steps_into_epoch += 1
        state.rows_seen += sum(map(len, batches))
        state.loss_sum += loss
        state.loss_steps += 1
        self._report_step()

    def _accumulate_gradients(self, batches: list[Batch]) -> float:
        rows, total = sum(map(len, batches)), 0.0
        for batch in batches:
            with self._settings.device.autocast():
                loss = self._learner.loss(batch) * (len(batch) / rows)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if not math.isfinite(total):
            raise Diverged(
                f"Training diverged: the loss was no longer a number at step {self.state.step + 1}."
                " Lower the learning rates and launch again."
            )
        return total

    def _clip_gradients(self) -> None:
        """Like clip_grad_norm_, but leaves gradients alone when there is nothing to clip."""
        parameters = list(self._learner.network.parameters())
        gradients = [one.grad for one in parameters if one.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if norm > LARGEST_GRADIENT_NORM:
            torch.nn.utils.clip_grads_with_norm_(parameters, LARGEST_GRADIENT_NORM, norm)

    def _set_learning_rates(self) -> None:
        """Linear warm-up, then linear decay to zero at the last step."""
        warmup = round(self.total_steps * self._settings.hyperparameters.warmup_fraction)
        step = self.state.step
        if step < warmup:
            factor = (step + 1) / warmup
        else:
            factor = (self.total_steps - step) / max(1, self.total_steps - warmup)
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
        metrics = self._learner.validate(self._leave_if_asked())
        is_best = self._note_score(metrics)
        for name, value in metrics.items():
            self._report_metric(name, value)
        if metrics:
            self._report.info(
                f"Epoch {state.epoch + 1} of {epochs} done · validation accuracy"
                f" {metrics['validation_accuracy']:.1%}"
            )
        state.epoch, state.steps_into_epoch = state.epoch + 1, 0
        state.finished = state.epoch >= epochs or self._is_out_of_patience()
        if state.finished and state.epoch < epochs:
            self._report.info(f"Stopped after epoch {state.epoch}: validation no longer improves.")
        self._save(is_best=is_best)

    def _note_score(self, metrics: dict[str, float]) -> bool:
        """Later epochs win ties: their learning rate was lower."""
        state = self.state
        state.last_metrics = metrics
        best = state.best_metrics.get(SCORE, float("-inf"))
        if metrics and metrics[SCORE] < best:
            state.epochs_without_gain += 1
            return False
        state.best_epoch, state.best_step, state.best_metrics = state.epoch, state.step, metrics
        state.epochs_without_gain = 0
        self._best = {
            name: tensor.detach().cpu().clone()
            for name, tensor in self._learner.network.state_dict().items()
        }
        return True

    def _is_out_of_patience(self) -> bool:
        patience = self._settings.hyperparameters.early_stopping_patience
        return bool(patience) and self.state.epochs_without_gain >= patience

    def _leave_if_asked(self) -> Iterable[None]:
        while True:
            if self._stop.requested:
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
        path = self._checkpoints.save(
            state,
            self._learner.network.state_dict(),
            self._optimizer.state_dict(),
            is_best=is_best,
        )
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
        self._learner.network.load_state_dict(saved.network)
        self._optimizer.load_state_dict(saved.optimizer)

    def _steps_of(self, epoch: int) -> list[list[Batch]]:
        hyperparameters = self._settings.hyperparameters
        return epoch_steps(
            self._learner.lengths,
            hyperparameters.batch_tokens,
            seed=hyperparameters.seed,
            epoch=epoch,
        )
