"""How often a batch is halved, and what counts as free memory."""

import math

import numpy as np
import pytest
import torch

from engine.errors import OutOfMemory
from engine.loop import memory_planning as planning

MIB = planning.MEBIBYTE


@pytest.mark.parametrize(
    ("free_mib", "halvings"),
    [(100, 0), (81, 0), (79, 1), (41, 1), (39, 2), (6, 4), (2, 6)],
)
def test_a_batch_is_halved_until_its_rows_fit(free_mib, halvings):
    free = free_mib * MIB * planning.MEMORY_SAFETY_FACTOR
    assert planning.compute_microbatch_splits(0, 1.25 * MIB, 64, free) == halvings


def test_fixed_state_leaves_less_for_rows():
    free = 64 * planning.MEMORY_SAFETY_FACTOR
    assert planning.compute_microbatch_splits(0, 1, 64, free) == 0
    assert planning.compute_microbatch_splits(10, 1, 64, free) == 1


def test_one_row_that_does_not_fit_is_refused_with_figures():
    with pytest.raises(OutOfMemory, match="about 15 MiB even with one row at a time, but 10 MiB"):
        planning.compute_microbatch_splits(5 * MIB, 8 * MIB, 64, 10 * MIB)


def test_what_autograd_keeps_is_measured_by_row():
    layer = torch.nn.Linear(100, 100, bias=False)
    rows = torch.randn(16, 100)

    def loss(batch: np.ndarray) -> torch.Tensor:
        return torch.tanh(layer(rows[batch])).sum()

    measured = planning.measure_activation_bytes_per_row(loss, np.arange(16))
    own = 2 * 100 * 4  # The layer's input and tanh's output.
    shared = 100 * 100 * 4 / planning.PROFILED_ROWS  # The weights, which the input's slope needs.
    assert own <= measured <= own + shared


@pytest.mark.parametrize(("optimizer", "copies"), [("adamw", 4), ("sgd", 3), ("adafactor", 2.1)])
def test_the_state_is_counted_for_weights_that_learn(optimizer, copies):
    network = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Linear(10, 10))
    network[0].requires_grad_(False)
    counted = planning.estimate_training_state_bytes(network, optimizer)
    assert counted == pytest.approx(copies * 110 * 4)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Sets what the machine, the control group and this process report, in bytes."""

    def report(*, available: float, rss: float = 0.0, group: tuple | None = None) -> None:
        monkeypatch.setattr(planning, "_available_machine_bytes", lambda: available)
        monkeypatch.setattr(planning, "_process_rss_bytes", lambda: rss)
        free = math.inf if group is None else group[0] - group[1]
        monkeypatch.setattr(planning, "_available_cgroup_bytes", lambda: free)

    return report


def test_the_smallest_limit_counts(machine):
    machine(available=1000)
    assert planning.available_memory_bytes("cpu", None) == 1000
    machine(available=1000, group=(700, 200))
    assert planning.available_memory_bytes("cpu", None) == 500
    machine(available=1000, group=(700, 200), rss=50)
    assert planning.available_memory_bytes("cpu", 400) == 350


def test_processes_share_the_machine_but_not_their_own_limit(machine):
    machine(available=1000, rss=100)
    assert planning.available_memory_bytes("cpu", None, processes=4) == 250
    assert planning.available_memory_bytes("cpu", 300, processes=4) == 200


def test_this_machine_reports_something_sensible():
    free = planning.available_memory_bytes("cpu", None)
    assert 0 < free < math.inf
    assert planning._process_rss_bytes() > 10 * MIB
