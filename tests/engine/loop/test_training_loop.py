"""The loop on a task of four weights: stopping, resuming, accumulation and the best epoch."""

import itertools

import numpy as np
import pytest
import torch

from engine.data.batching import shuffled_batches
from engine.errors import Diverged, StopRequested
from engine.events import CheckpointSaved, Message, Metric, Reporter, parse_event
from engine.loop import optimizers
from engine.loop.checkpoints import CheckpointFolder
from engine.loop.device import Device
from engine.loop.interface import ValidationMetric
from engine.loop.training_loop import LoopSettings, TrainingLoop
from engine.progress import ProgressTracker
from engine.spec import TabularHyperparameters
from engine.stop_signal import StopSignal

ROWS = 24
GIBIBYTE = 2**30


class LineFit:
    """Fits a line; its validation score is scripted or the real loss."""

    score = ValidationMetric("validation_loss", higher_is_better=False)

    def __init__(self, hyperparameters, losses=None, dropout: float = 0.0) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(3, 1))
        self._rows = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1))
        self._targets = self._rows @ torch.tensor([1.0, -2.0, 0.5])
        self._hyperparameters, self._losses = hyperparameters, losses
        self.stop_in_epoch = None
        self.poison_step = None
        self._steps = itertools.count()

    def epoch_batches(self, epoch):
        return shuffled_batches(ROWS, 8, seed=0, epoch=epoch)

    def parameter_groups(self):
        return optimizers.parameter_groups(self.network, self._hyperparameters, 0.01)

    def loss(self, rows):
        loss = ((self.network(self._rows[rows])[:, 0] - self._targets[rows]) ** 2).mean()
        if self.network.training and self.poison_step == next(self._steps):
            return loss * float("nan")
        return loss

    def weight(self, rows):
        return float(len(rows))

    def memory_cost(self, rows):
        return float(len(rows))

    def validate(self, check):
        next(iter(check))
        if self._losses is not None:
            return {"validation_loss": self._losses.pop(0)} if self._losses else {}
        with torch.no_grad():
            return {"validation_loss": float(self.loss(np.arange(ROWS)))}

    def summary(self, metrics):
        return f"loss {metrics['validation_loss']:.3f}"


@pytest.fixture
def make_loop(tmp_path):
    def make(task_options=None, *, epochs=3, name="job", stop=None, **changes):
        settings = {"precision": "fp32", "early_stopping_patience": 0, "seed": 0} | changes
        hyperparameters = TabularHyperparameters(**settings)
        task = LineFit(hyperparameters, **(task_options or {}))
        events = []
        report = Reporter(lambda line: events.append(parse_event(line)))
        loop = TrainingLoop(
            task,
            LoopSettings(
                hyperparameters=hyperparameters,
                epochs=epochs,
                checkpoint_seconds=1e9,
                device=Device("cpu"),
                memory_bytes=None,
            ),
            checkpoints=CheckpointFolder(tmp_path / name, "line"),
            progress=ProgressTracker(report, {"training": 1.0}),
            report=report,
            stop=stop or StopSignal(),
        )
        return loop, task, events

    return make


def weights(task) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.network.parameters()])


def test_it_trains_every_row_of_every_epoch_and_learns(make_loop):
    loop, task, events = make_loop(epochs=30, learning_rate=0.1)
    first = task.loss(np.arange(ROWS)).item()
    state = loop.run(None)
    assert (state.step, state.epoch, state.rows_seen) == (90, 30, 30 * ROWS)
    assert task.loss(np.arange(ROWS)).item() < first / 10
    assert events[-1].event == "checkpoint"


def test_the_best_epoch_is_kept_not_the_last(make_loop):
    loop, task, events = make_loop({"losses": [3.0, 1.0, 2.0]})
    state = loop.run(None)
    assert (state.best_epoch, state.best_metrics) == (1, {"validation_loss": 1.0})
    best = [event for event in events if isinstance(event, CheckpointSaved) and event.best][-1]
    saved = CheckpointFolder(loop._checkpoints.root, "line").load(
        loop._checkpoints.root / f"step-{state.best_step:06d}"
    )
    assert best.epoch == 2
    assert torch.equal(task.network[1].weight, saved.best["1.weight"])


def test_of_equal_epochs_the_later_is_kept(make_loop):
    loop, _task, _events = make_loop({"losses": [1.0, 1.0, 2.0]})
    assert loop.run(None).best_epoch == 1


def test_it_stops_early_when_validation_no_longer_improves(make_loop):
    loop, _task, events = make_loop(
        {"losses": [1.0, 2.0, 3.0, 0.1]}, epochs=4, early_stopping_patience=2
    )
    assert loop.run(None).epoch == 3
    texts = [event.text for event in events if isinstance(event, Message)]
    assert "Stopped after epoch 3: validation no longer improves." in texts


def test_without_validation_rows_the_last_weights_are_kept(make_loop):
    loop, _task, events = make_loop({"losses": []}, early_stopping_patience=1)
    state = loop.run(None)
    assert (state.epoch, state.best_epoch) == (3, 2)
    assert not any(isinstance(e, Metric) and "validation" in e.name for e in events)


def test_a_loss_that_is_no_number_ends_the_job_with_its_step(make_loop):
    loop, task, _events = make_loop()
    task.poison_step = 6  # Of forward passes, two measure memory and one validates.
    with pytest.raises(Diverged, match="at step 4"):
        loop.run(None)


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd"}, {"accumulation": 2}])
def test_a_stopped_run_goes_on_bit_for_bit(make_loop, changes):
    whole, task, _events = make_loop({"dropout": 0.3}, name="whole", **changes)
    whole.run(None)
    stop = StopSignal()
    broken, _task, events = make_loop({"dropout": 0.3}, name="broken", stop=stop, **changes)
    steps = itertools.count(1)
    run_step = broken._run_step

    def stop_in_the_second_epoch(batches):
        stop.requested = next(steps) == len(broken._steps_per_epoch) + 1
        return run_step(batches)

    broken._run_step = stop_in_the_second_epoch
    with pytest.raises(StopRequested):
        broken.run(None)
    saved = [event for event in events if isinstance(event, CheckpointSaved)][-1]
    resumed, again, _events = make_loop({"dropout": 0.3}, name="broken", **changes)
    torch.manual_seed(99)
    state = resumed.run(
        resumed._checkpoints.load(resumed._checkpoints.root / f"step-{saved.step:06d}")
    )
    assert state.finished
    assert torch.equal(weights(again), weights(task))


def test_batches_computed_in_pieces_make_the_same_steps(make_loop):
    whole, task, _events = make_loop(name="whole")
    whole.run(None)
    loop, pieces, events = make_loop(name="pieces")
    loop._plan_microbatch_splits = lambda: 2
    assert loop.run(None).halvings == 2
    assert torch.allclose(weights(pieces), weights(task), atol=1e-6)


def test_accumulated_batches_are_fewer_larger_steps(make_loop):
    loop, _task, _events = make_loop(accumulation=2)
    assert loop.total_steps == 3 * 2  # Three batches make two steps.
    assert loop.run(None).rows_seen == 3 * ROWS


def test_too_little_memory_is_said_and_batches_are_halved(make_loop, monkeypatch):
    loop, _task, events = make_loop()
    monkeypatch.setattr(
        "engine.loop.memory_planning.compute_microbatch_splits", lambda *_arguments: 1
    )
    assert loop.run(None).halvings == 1
    warned = [event.text for event in events if isinstance(event, Message)]
    assert any("Batches are computed in 2 pieces" in text for text in warned)


def test_measuring_memory_draws_no_random_numbers(make_loop):
    loop, _task, _events = make_loop({"dropout": 0.5})
    before = torch.get_rng_state()
    loop._plan_microbatch_splits()
    assert torch.equal(torch.get_rng_state(), before)
