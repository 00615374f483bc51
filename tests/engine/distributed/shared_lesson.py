"""A small task for several processes, run alone or by torchrun; the first writes the weights.

python -m tests.engine.distributed.shared_lesson FOLDER…
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from engine.data.batching import shuffled_batches
from engine.distributed import collectives
from engine.errors import EngineError, StopRequested
from engine.events import Reporter
from engine.loop import optimizers
from engine.loop.device import Device
from engine.loop.interface import ValidationMetric
from engine.loop.training_loop import run_training_loop
from engine.progress import ProgressTracker
from engine.spec import parse_spec
from engine.stop_signal import StopSignal

ROWS, STEP_ROWS = 61, 8  # The last step of an epoch has fewer rows; 61 leaves one of 5.


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(7, 9), torch.nn.Linear(9, 5)])
        self.unused = torch.nn.Linear(2, 2)
        self.head = torch.nn.Linear(5, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            rows = torch.tanh(layer(rows))
        return self.head(rows)


class Learner:
    """Rows have weights of their own, so that a mean of the processes' means would be wrong."""

    score = ValidationMetric("validation_loss", higher_is_better=False)

    def __init__(self, hyperparameters, leave_after: int, stop: StopSignal) -> None:
        self.network: torch.nn.Module = Network()
        self._hyperparameters, self._leave_after, self._stop = hyperparameters, leave_after, stop
        rng = torch.Generator().manual_seed(1)
        self._rows = torch.randn(ROWS, 7, generator=rng)
        self._answers = torch.randint(0, 3, (ROWS,), generator=rng)
        self._weights = torch.rand(ROWS, generator=rng) + 0.1

    def epoch_batches(self, epoch: int):
        plain = shuffled_batches(ROWS, STEP_ROWS, seed=0, epoch=epoch)
        return [[step[0][:1], step[0][1:]] if len(step[0]) > 1 else step for step in plain]

    def parameter_groups(self) -> list[dict[str, Any]]:
        rate = optimizers.resolve_learning_rate(self._hyperparameters, 0.01)
        return [{"params": list(self.network.parameters()), "lr": rate, "weight_decay": 0.01}]

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        weights = self._weights[rows]
        losses = functional.cross_entropy(
            self.network(self._rows[rows]), self._answers[rows], reduction="none"
        )
        return (losses * weights).sum() / weights.sum()

    def weight(self, rows: np.ndarray) -> float:
        return float(self._weights[rows].sum())

    def memory_cost(self, rows: np.ndarray) -> float:
        return float(len(rows))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        self._leave_after -= 1
        if self._leave_after == 0 and collectives.get_rank() == collectives.world_size() - 1:
            self._stop.requested = True  # Only one process is told; all must leave.
        ticks = iter(check)
        next(ticks)
        self.network.eval()
        with torch.inference_mode():
            loss = functional.cross_entropy(self.network(self._rows), self._answers)
        self.network.train()
        return {"validation_loss": float(loss)}

    def summary(self, metrics: dict[str, float]) -> str:
        return str(metrics)


def main(*folders: str) -> None:
    """One lesson after another, each as its folder's spec says; its end is written there too."""
    with collectives.process_group():
        for folder in map(Path, folders):
            spec = parse_spec(json.loads((folder / "spec.json").read_text()))
            leave_after = int((folder / "leave-after").read_text())
            network, end = _lesson(spec, leave_after)
            if collectives.is_rank0():
                save_file(network.state_dict(), folder / "weights")
                (folder / "end").write_text(end)


def _lesson(spec, leave_after: int) -> tuple[torch.nn.Module, str]:
    stop = StopSignal()
    report = Reporter(lambda _line: None)
    learner = Learner(spec.hyperparameters, leave_after, stop)
    try:
        state = run_training_loop(
            learner,
            spec,
            epochs=spec.hyperparameters.epochs,
            identity="lesson",
            device=Device("cpu"),
            clock=ProgressTracker(report, {"training": 1.0}),
            report=report,
            stop=stop,
        )
    except StopRequested:
        return Network(), "stopped"
    except EngineError as error:
        return Network(), error.sentence
    return learner.network, f"step {state.step}, {state.rows_seen} rows"


if __name__ == "__main__":
    main(*sys.argv[1:])
