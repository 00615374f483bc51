"""How the rows of a step are divided among processes, and which errors mean a lost process."""

import numpy as np
import pytest

from engine.distributed import collectives, strategies
from engine.distributed.strategies import SingleProcess, create_strategy
from engine.errors import BadTrainingData
from engine.spec import TabularHyperparameters


@pytest.fixture
def processes(monkeypatch):
    """Acts as one of several processes, without any other."""

    def act(count: int, rank: int = 0) -> None:
        monkeypatch.setattr(collectives, "world_size", lambda: count)
        monkeypatch.setattr(collectives, "get_rank", lambda: rank)

    return act


STEP = [np.arange(7), np.arange(7, 9), np.array([9])]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_row_of_a_step_goes_to_exactly_one_process(processes, count):
    processes(count)
    shares = collectives.split_step_by_rank(STEP)
    assert len(shares) == count
    rows = [int(row) for share in shares for batch in share for row in batch]
    assert sorted(rows) == list(range(10))


def test_batches_of_few_rows_start_with_different_processes(processes):
    processes(3)
    single = [np.array([number]) for number in range(6)]
    shares = collectives.split_step_by_rank(single)
    assert [len(share) for share in shares] == [2, 2, 2]


def test_a_process_gets_short_and_long_rows(processes):
    processes(2)
    (own,), (other,) = collectives.split_step_by_rank([np.arange(8)])
    assert own.tolist() == [0, 2, 4, 6]
    assert other.tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(("rank", "own_rows", "idle"), [(0, 1, 0), (1, 0, 1), (2, 0, 1)])
def test_a_process_without_rows_still_takes_part_once(processes, rank, own_rows, idle):
    processes(3, rank)
    parts, idle_rounds = SingleProcess(None, None).local_microbatches([np.array([4])], 0)
    assert (len(parts), idle_rounds) == (own_rows, idle)


def test_halved_batches_are_computed_in_pieces(processes):
    processes(2, 1)
    parts, idle = SingleProcess(None, None).local_microbatches([np.arange(8)], 1)
    assert [part.tolist() for part in parts] == [[1, 3], [5, 7]]
    assert idle == 0


def test_alone_every_function_returns_at_once():
    assert collectives.all_reduce_sum(1.5, 2.0) == [1.5, 2.0]
    assert collectives.all_gather("x") == ["x"]
    assert collectives.broadcast_from_rank0({"a": 1}) == {"a": 1}
    assert collectives.run_on_rank0(lambda: 7) == 7
    assert collectives.all_reduce_any(True)
    assert not collectives.all_reduce_any(False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:542] Connection reset"), True),
        (RuntimeError("Connection closed by peer [127.0.0.1]:4"), True),
        (RuntimeError("NCCL communicator was aborted"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("gloo"), False),
    ],
)
def test_errors_of_a_lost_process_are_recognised(error, expected):
    assert collectives.is_peer_loss(error) is expected


class Chosen(Exception):
    """Raised instead of wrapping the network; its text names the strategy."""


@pytest.fixture
def strategy_of(processes, monkeypatch):
    """The strategy that two processes would choose."""
    processes(2)
    monkeypatch.setattr(collectives, "all_reduce_any", bool)

    def stop(name):
        def refuse(*_arguments):
            raise Chosen(name)

        return refuse

    monkeypatch.setattr(strategies, "DataParallel", stop("copies"))
    monkeypatch.setattr(strategies, "FullyShardedDataParallel", stop("sharded"))

    def choose(*, state: float, **changes) -> str:
        hyperparameters = TabularHyperparameters(**changes)
        with pytest.raises(Chosen) as chosen:
            create_strategy(None, None, hyperparameters, "cpu", state_bytes=state, free_bytes=100.0)
        return str(chosen.value)

    return choose


@pytest.mark.parametrize(
    ("state", "changes", "expected"),
    [
        (59, {}, "copies"),
        (61, {}, "sharded"),
        (61, {"optimizer": "adafactor"}, "copies"),
        (61, {"sharding": "none"}, "copies"),
        (1, {"sharding": "full"}, "sharded"),
    ],
)
def test_large_state_is_sharded_where_that_works(strategy_of, state, changes, expected):
    assert strategy_of(state=state, **changes) == expected


@pytest.mark.parametrize("changes", [{"optimizer": "adafactor"}, {"precision": "fp16"}])
def test_sharding_that_cannot_work_is_refused_with_its_reason(processes, changes):
    processes(2)
    hyperparameters = TabularHyperparameters(sharding="full", **changes)
    with pytest.raises(BadTrainingData, match="sharding: full does not go with the"):
        create_strategy(None, None, hyperparameters, "cpu", state_bytes=1.0, free_bytes=9.0)


def test_one_process_needs_no_strategy():
    made = create_strategy(
        None, None, TabularHyperparameters(), "cpu", state_bytes=1e12, free_bytes=1.0
    )
    assert type(made) is SingleProcess
