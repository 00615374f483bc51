"""The training loop of every task: steps, checkpoints, resuming, early stopping, reporting.

It knows no texts, tables or images: a `TrainableTask` gives the loss of some rows. Resuming repeats
no step and skips none: on a CPU the weights are equal bit for bit to those of an unbroken run.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.batching import Batch, merge_for_accumulation
from engine.distributed import collectives, strategies
from engine.errors import Diverged, StopRequested
from engine.events import CheckpointSaved, Metric, Reporter
from engine.loop import memory_planning, optimizers
from engine.loop.checkpoints import CheckpointFolder, SavedCheckpoint, TrainingState
from engine.loop.device import Device
from engine.loop.interface import TrainableTask
from engine.progress import ProgressTracker
from engine.spec import JobSpec, LoopHyperparameters
from engine.stop_signal import StopSignal

MAX_METRIC_POINTS = 200


@dataclass(frozen=True)
class LoopSettings:
    hyperparameters: LoopHyperparameters
    epochs: int
    checkpoint_seconds: float
    device: Device
    microbatch_splits: int = 0  # Batches are computed in 2^n pieces, to fit into memory.
    memory_bytes: int | None = None  # Limit of the process; None: what the machine has free.

    @property
    def available_memory_bytes(self) -> float:
        return memory_planning.available_memory_bytes(
            self.device.name, self.memory_bytes, processes=collectives.world_size()
        )


class TrainingLoop:
    def __init__(
        self,
        learner: TrainableTask,
        settings: LoopSettings,
        *,
        checkpoints: CheckpointFolder,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> None:
        self._learner, self._settings = learner, settings
        self._checkpoints, self._progress = checkpoints, progress
        self._report, self._stop = report, stop
        self.state = TrainingState()
        hyperparameters, device = settings.hyperparameters, settings.device
        self._state_bytes = memory_planning.estimate_training_state_bytes(
            learner.network, hyperparameters.optimizer
        )
        self._strategy = strategies.create_strategy(
            learner.network,
            learner.loss,
            hyperparameters,
            device.name,
            state_bytes=self._state_bytes,
            free_bytes=settings.available_memory_bytes,
        )
        self._optimizer = optimizers.make_optimizer(hyperparameters, learner.parameter_groups())
        self._scaler = torch.amp.GradScaler(device.name, enabled=device.precision == "fp16")
        self._peak_learning_rates = [group["lr"] for group in self._optimizer.param_groups]
        self._steps_per_epoch = [
            len(self._accumulated_batches(epoch)) for epoch in range(settings.epochs)
        ]
        self._best_weights: dict[str, Tensor] | None = None
        self._saved_at = self._started_at = time.monotonic()
        self._rows_seen_before = 0

    @property
    def total_steps(self) -> int:
        return sum(self._steps_per_epoch)

    def run(self, resume: SavedCheckpoint | None) -> TrainingState:
        """Train to the end and leave the best weights in the network."""
        if resume is not None:
            self._restore(resume)
            # Kept from before for equal bits; raised if the supervisor saw memory run out.
            self.state.halvings = max(self.state.halvings, self._settings.microbatch_splits)
        else:
            self.state.halvings = self._plan_microbatch_splits()
        progress, state = self._progress, self.state
        progress.epochs, progress.total_steps = self._settings.epochs, self.total_steps
        progress.step, progress.epoch = state.step, min(state.epoch + 1, progress.epochs)
        progress.start_phase("training", 1.0 if state.finished else state.step / self.total_steps)
        self._saved_at = self._started_at = time.monotonic()
        self._rows_seen_before = state.rows_seen
        with self._stop.deferred():
            while not state.finished:
                self._run_epoch()
        if self._best_weights is not None:
            self._strategy.load(self._best_weights)
        self._strategy.unwrap_network()
        self._stop.raise_if_requested()
        return state

    def _plan_microbatch_splits(self) -> int:
        """How often batches must be halved to fit into memory, at least as the settings say."""
        fixed = self._state_bytes * self._strategy.state_fraction
        free = self._settings.available_memory_bytes
        bytes_per_row = self._measure_bytes_per_row()
        halvings = max(
            memory_planning.compute_microbatch_splits(fixed, row_bytes, rows, free)
            for rows, row_bytes in bytes_per_row.items()
        )
        halvings = max(collectives.all_gather(halvings))
        activations = max(rows * row_bytes for rows, row_bytes in bytes_per_row.items())
        needed = fixed + activations * memory_planning.MEMORY_SAFETY_FACTOR
        needed_mib, free_mib = needed / memory_planning.MEBIBYTE, free / memory_planning.MEBIBYTE
        sentence = f"A step needs about {needed_mib:,.0f} MiB; {free_mib:,.0f} MiB are free."
        if halvings > self._settings.microbatch_splits:
            pieces = 2**halvings
            self._report.warn(f"{sentence} Batches are computed in {pieces} pieces, one by one.")
        else:
            self._report.info(sentence)
        return max(halvings, self._settings.microbatch_splits)

    def _measure_bytes_per_row(self) -> dict[int, float]:
        """By this process's rows of the largest batches, what autograd keeps for each row; found
        by forward passes that leave the random state as it was."""
        learner = self._learner
        batches = [batch for step in learner.epoch_batches(0) for batch in step]
        rng_state = optimizers.get_rng_state()
        learner.network.train()
        measured = {}
        for batch in (max(batches, key=len), max(batches, key=learner.memory_cost)):
            own_rows = -(-len(batch) // collectives.world_size())
            with self._settings.device.autocast():
                measured[own_rows] = memory_planning.measure_activation_bytes_per_row(
                    learner.loss, batch
                )
        optimizers.set_rng_state(rng_state)
        return measured

    def _run_epoch(self) -> None:
        state = self.state
        self._progress.epoch = state.epoch + 1
        steps = self._accumulated_batches(state.epoch)
        self._learner.network.train()
        for batches in steps[state.steps_into_epoch :]:
            must_stop, must_save = self._run_step(batches)
            if must_stop:
                self._save_and_stop()
            if must_save:
                self._save(is_best=False)
        self._finish_epoch()

    def _run_step(self, batches: list[Batch]) -> tuple[bool, bool]:
        """Whether to stop after it, and whether to save: all processes do the same."""
        state = self.state
        factor = optimizers.lr_schedule_factor(
            self._settings.hyperparameters, state.step, self.total_steps
        )
        for group, peak in zip(
            self._optimizer.param_groups, self._peak_learning_rates, strict=True
        ):
            group["lr"] = peak * factor
        due_at = self._saved_at + self._settings.checkpoint_seconds
        loss, stop, save = collectives.all_reduce_sum(
            self._accumulate_gradients(batches),
            self._stop.requested,
            collectives.is_rank0() and time.monotonic() >= due_at,
        )
        if not math.isfinite(loss):
            raise Diverged(
                f"Training diverged: the loss was no longer a number at step {state.step + 1}."
                " Lower the learning rates and launch again."
            )
        largest_norm = self._settings.hyperparameters.gradient_clip
        if largest_norm:
            self._scaler.unscale_(self._optimizer)
            optimizers.clip_gradients(self._learner.network.parameters(), largest_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.steps_into_epoch += 1
        state.rows_seen += sum(map(len, batches))
        state.loss_sum += loss
        state.loss_steps += 1
        self._report_step()
        return bool(stop), bool(save)

    def _accumulate_gradients(self, batches: list[Batch]) -> float:
        """This process's part of the step's mean loss; its gradients are of the whole step."""
        learner, total = self._learner, 0.0
        step_weight = sum(learner.weight(batch) for batch in batches)
        parts, idle_rounds = self._strategy.local_microbatches(batches, self.state.halvings)
        weights = [learner.weight(part) / step_weight for part in parts] + idle_rounds * [0.0]
        parts = parts + idle_rounds * [batches[0][:1]]
        for number, (part, weight) in enumerate(zip(parts, weights, strict=True), start=1):
            with self._strategy.gradient_sync(is_last=number == len(parts)):
                with self._settings.device.autocast():
                    loss = self._strategy.loss(part) * weight
                # The strategies average gradients over processes; a sum is needed.
                self._scaler.scale(loss * collectives.world_size()).backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total

    def _report_step(self) -> None:
        state, progress = self.state, self._progress
        elapsed = max(1e-6, time.monotonic() - self._started_at)
        progress.rows_per_second = (state.rows_seen - self._rows_seen_before) / elapsed
        progress.step = state.step
        progress.advance(state.step / self.total_steps)
        if state.step % max(1, self.total_steps // MAX_METRIC_POINTS) == 0:
            self._report_metric("train_loss", state.loss_sum / state.loss_steps)
            self._report_metric("learning_rate", self._optimizer.param_groups[0]["lr"])
            state.loss_sum, state.loss_steps = 0.0, 0

    def _report_metric(self, name: str, value: float) -> None:
        self._report(
            Metric(name=name, step=self.state.step, epoch=self.state.epoch + 1, value=value)
        )

    def _finish_epoch(self) -> None:
        state, epochs = self.state, self._settings.epochs
        metrics = collectives.broadcast_from_rank0(
            self._learner.validate(self._stop_if_requested())
        )
        is_best = self._record_score(metrics)
        if is_best:
            self._best_weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self._strategy.trainable_state().items()
            }
        for name, value in metrics.items():
            self._report_metric(name, value)
        if metrics:
            summary = self._learner.summary(metrics)
            self._report.info(f"Epoch {state.epoch + 1} of {epochs} done · {summary}")
        state.epoch, state.steps_into_epoch = state.epoch + 1, 0
        patience = self._settings.hyperparameters.early_stopping_patience
        stops_early = bool(patience) and state.epochs_without_gain >= patience
        state.finished = state.epoch >= epochs or stops_early
        if state.finished and state.epoch < epochs:
            self._report.info(f"Stopped after epoch {state.epoch}: validation no longer improves.")
        self._save(is_best=is_best)

    def _record_score(self, metrics: dict[str, float]) -> bool:
        """Whether this epoch is the best so far. Later epochs win ties: their learning rate was
        lower."""
        state, score = self.state, self._learner.score
        state.last_metrics = metrics
        if metrics:
            self._report.report_score(
                score.name, metrics[score.name], higher_is_better=score.higher_is_better
            )
        best = state.best_metrics.get(score.name)
        if metrics and best is not None and score.is_worse(metrics[score.name], best):
            state.epochs_without_gain += 1
            return False
        state.best_epoch, state.best_step, state.best_metrics = state.epoch, state.step, metrics
        state.epochs_without_gain = 0
        return True

    def _stop_if_requested(self) -> Iterable[None]:
        """Advanced between validation batches; all processes stop together."""
        while True:
            if collectives.all_reduce_any(self._stop.requested):
                self._save_and_stop()
            yield

    def _save_and_stop(self) -> None:
        self._save(is_best=False)
        raise StopRequested

    def _save(self, *, is_best: bool) -> None:
        state = self.state
        now = time.monotonic()
        state.seconds += now - self._saved_at
        self._saved_at = now
        weights = self._strategy.trainable_state()
        optimizer_state = {
            "optimizer": strategies.full_optimizer_state(self._optimizer),
            "scaler": self._scaler.state_dict(),
            "random": collectives.all_gather(optimizers.get_rng_state()),
        }
        if not collectives.is_rank0():
            return
        path = self._checkpoints.save(state, weights, optimizer_state, is_best=is_best)
        self._report(
            CheckpointSaved(
                step=state.step,
                epoch=state.epoch,
                path=str(path),
                metrics=state.last_metrics,
                best=is_best,
            )
        )

    def _restore(self, saved: SavedCheckpoint) -> None:
        self.state, self._best_weights = saved.state, saved.best
        self._strategy.load(saved.network)
        strategies.load_optimizer_state(self._optimizer, saved.optimizer["optimizer"])
        self._scaler.load_state_dict(saved.optimizer["scaler"])
        rng_states = saved.optimizer["random"]
        if collectives.get_rank() < len(rng_states):
            optimizers.set_rng_state(rng_states[collectives.get_rank()])

    def _accumulated_batches(self, epoch: int) -> list[list[Batch]]:
        accumulation = self._settings.hyperparameters.accumulation
        return merge_for_accumulation(self._learner.epoch_batches(epoch), accumulation)


def run_training_loop(
    learner: TrainableTask,
    spec: JobSpec,
    *,
    epochs: int,
    identity: str,
    device: Device,
    clock: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
    fold: int | None = None,
) -> TrainingState:
    """Train to the end, from the spec's checkpoint if that has the same `identity`.

    Folds of a cross-validation keep checkpoints of their own and never resume.
    """
    folder = "checkpoints" if fold is None else f"fold-{fold}"
    if not collectives.is_rank0():  # Only reads, but links the best weights into its folder.
        folder = f"process-{collectives.get_rank()}-{folder}"
    checkpoints = CheckpointFolder(spec.work / folder, identity)
    settings = LoopSettings(
        hyperparameters=spec.hyperparameters,
        epochs=epochs,
        checkpoint_seconds=spec.checkpoint_seconds,
        device=device,
        microbatch_splits=spec.halvings,
        memory_bytes=spec.memory_bytes,
    )
    loop = TrainingLoop(
        learner, settings, checkpoints=checkpoints, progress=clock, report=report, stop=stop
    )
    saved = None
    if spec.resume_from is not None and fold is None:
        saved = checkpoints.load(spec.resume_from)
        if saved is None:
            report.warn("The checkpoint is damaged or of another job: starting from the beginning.")
    return loop.run(saved)
