"""How the processes of one job share its network: not at all, a copy each, or a part each.

All three take the same steps: gradients are sums over every process's rows, each weighted as in
the whole step. State is saved and loaded with whole tensors, so any number of processes can resume.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from engine.data.batching import Batch, split_into_microbatches
from engine.distributed import collectives
from engine.distributed.tensors import full_tensor, shard_like
from engine.errors import BadTrainingData
from engine.spec import LoopHyperparameters

StateDict = dict[str, Tensor]
LossOfRows = Callable[[Batch], Tensor]
# Above this share of free memory, gradients and optimizer state are not kept whole.
FULL_SHARD_THRESHOLD = 0.6


class SingleProcess:
    """One process has everything; the other two strategies extend it."""

    state_fraction = 1.0  # Of gradients and optimizer state, in this process.

    def __init__(self, network: nn.Module, loss: LossOfRows) -> None:
        self._network, self._loss = network, loss

    def loss(self, rows: Batch) -> Tensor:
        return self._loss(rows)

    def local_microbatches(self, step: list[Batch], halvings: int) -> tuple[list[Batch], int]:
        """What this process computes of a step, one by one, and how often it must take part with
        rows that count nothing, because the others have more."""
        shares = collectives.split_step_by_rank(step)
        parts = [
            [piece for rows in share for piece in split_into_microbatches(rows, halvings)]
            for share in shares
        ]
        own = parts[collectives.get_rank()]
        return own, self._count_rounds(list(map(len, parts))) - len(own)

    def _count_rounds(self, counts: list[int]) -> int:
        """How often this process must compute, given how many parts each has."""
        return max(1, counts[collectives.get_rank()])

    @contextmanager
    def gradient_sync(self, *, is_last: bool) -> Iterator[None]:
        """Surrounds forward and backward of one part of a step; only the last part sends gradients
        to the other processes."""
        yield

    def trainable_state(self) -> StateDict:
        """What training changes: trainable parameters, once each, and buffers. Frozen weights are
        read from the base model again."""
        names = {
            name for name, parameter in self._network.named_parameters() if parameter.requires_grad
        }
        names |= {name for name, _ in self._network.named_buffers()}
        state = self._network.state_dict()
        return {name: full_tensor(tensor) for name, tensor in state.items() if name in names}

    def load(self, state: StateDict) -> None:
        """Load what `trainable_state` returned; raises RuntimeError if it is of another network."""
        network = self._network
        present = network.state_dict()
        sharded = {
            name: shard_like(present[name], tensor) if name in present else tensor
            for name, tensor in state.items()
        }
        missing, unexpected = network.load_state_dict(sharded, strict=False)
        required = {name for name, _ in network.named_buffers()}
        required |= {
            name for name, parameter in network.named_parameters() if parameter.requires_grad
        }
        required &= set(present)  # Buffers that are never saved are created anew.
        if unexpected or (lost := set(missing) & required):
            raise RuntimeError(
                f"The checkpoint does not fit the network: {sorted(unexpected or lost)[:3]}"
            )

    def unwrap_network(self) -> None:
        """Leave the network as a plain module that holds all trained weights."""


class DataParallel(SingleProcess):
    """Every process has the whole network; gradients are added up while they are computed."""

    def __init__(self, network: nn.Module, loss: LossOfRows) -> None:
        super().__init__(network, loss)
        collectives.broadcast_weights(network)
        self._wrapped = DistributedDataParallel(
            _LossModule(network, loss),
            init_sync=False,
            broadcast_buffers=False,
            find_unused_parameters=True,  # Base models carry parts that no loss reaches.
            gradient_as_bucket_view=True,
        )

    def loss(self, rows: Batch) -> Tensor:
        loss: Tensor = self._wrapped(rows)
        return loss

    @contextmanager
    def gradient_sync(self, *, is_last: bool) -> Iterator[None]:
        if is_last:
            yield
        else:
            with self._wrapped.no_sync():
                yield


class _LossModule(nn.Module):
    """The loss as a module, because DistributedDataParallel hooks into a module's forward."""

    def __init__(self, network: nn.Module, loss: LossOfRows) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, rows: Batch) -> Tensor:
        return self._loss(rows)


class FullyShardedDataParallel(SingleProcess):
    """Every process has a part of each weight, its gradient and optimizer state; whole weights
    exist only while a layer computes."""

    def __init__(self, network: nn.Module, loss: LossOfRows, device: str) -> None:
        super().__init__(network, loss)
        collectives.broadcast_weights(network)
        self.state_fraction = 1 / collectives.world_size()
        self._original_modules = {
            module: (type(module), _copy_attributes(module)) for module in network.modules()
        }
        mesh = init_device_mesh(device, (collectives.world_size(),))
        for layer in [*_find_repeated_blocks(network), network]:
            fully_shard(layer, mesh=mesh)
        self._fsdp_modules = [
            module for module in self._original_modules if isinstance(module, FSDPModule)
        ]
        # Buffers are made at the first unshard; inference mode would make unusable ones.
        for module in self._fsdp_modules:
            module.unshard()
        self._reshard()

    def _count_rounds(self, counts: list[int]) -> int:
        return max(counts)  # Every forward pass gathers weights from all.

    def _reshard(self) -> None:
        for module in self._fsdp_modules:
            module.reshard()

    @contextmanager
    def gradient_sync(self, *, is_last: bool) -> Iterator[None]:
        for module in self._fsdp_modules:
            module.set_requires_gradient_sync(is_last)
        yield

    def trainable_state(self) -> StateDict:
        self._reshard()
        return super().trainable_state()

    def load(self, state: StateDict) -> None:
        self._reshard()
        super().load(state)

    def unwrap_network(self) -> None:
        """Undo `fully_shard`, which replaced each module's __class__; torch has no inverse."""
        self._reshard()
        whole: dict[int, nn.Parameter] = {}  # By the sharded one's id: tied weights stay tied.
        for module, (original_class, attributes) in self._original_modules.items():
            parameters = dict(module._parameters)
            module.__class__ = original_class
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for name, sharded in parameters.items():
                if sharded is not None and id(sharded) not in whole:
                    tensor = full_tensor(sharded.detach())
                    whole[id(sharded)] = nn.Parameter(tensor, sharded.requires_grad)
                module._parameters[name] = None if sharded is None else whole[id(sharded)]


def create_strategy(
    network: nn.Module,
    loss: LossOfRows,
    hyperparameters: LoopHyperparameters,
    device: str,
    *,
    state_bytes: float,
    free_bytes: float,
) -> SingleProcess:
    """The strategy that the hyperparameters name, or the one that fits `state_bytes`, which
    gradients and optimizer state would take, into memory. Raises BadTrainingData for
    hyperparameters that do not work with sharded weights."""
    if collectives.world_size() == 1:
        return SingleProcess(network, loss)
    sharding = hyperparameters.sharding
    blocker = _full_sharding_blocker(hyperparameters)
    if sharding == "auto":
        is_large = collectives.all_reduce_any(state_bytes > FULL_SHARD_THRESHOLD * free_bytes)
        sharding = "full" if is_large and not blocker else "none"
    # Dropout must differ between the processes, which have different rows.
    torch.manual_seed(hyperparameters.seed + collectives.get_rank())
    if sharding == "none":
        return DataParallel(network, loss)
    if blocker:
        raise BadTrainingData("bad_spec", f"sharding: full does not go with {blocker}.")
    return FullyShardedDataParallel(network, loss, device)


def _full_sharding_blocker(hyperparameters: LoopHyperparameters) -> str:
    """The hyperparameter that needs whole weights, or an empty string."""
    if hyperparameters.optimizer == "adafactor":
        return "the optimizer adafactor; choose adamw or sgd"
    if hyperparameters.precision == "fp16":
        return "the precision fp16; choose bf16 or fp32"
    if getattr(hyperparameters, "adversarial", 0):
        return "adversarial training"
    return ""


def _find_repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """The repeated blocks, innermost first: each is gathered by itself."""
    lists = [module for module in network.modules() if isinstance(module, nn.ModuleList)]
    blocks = [
        block
        for module_list in lists
        for block in module_list
        if next(block.parameters(), None) is not None
    ]
    return blocks[::-1]


def _copy_attributes(module: nn.Module) -> dict[str, Any]:
    """A module's attributes as they are, but for its parameters, which would be kept alive."""
    copied = {
        name: value.copy() if isinstance(value, dict) else value
        for name, value in module.__dict__.items()
    }
    return copied | {"_parameters": dict.fromkeys(module._parameters)}


# Not torch.distributed.checkpoint.state_dict: it keys optimizer state by parameter name, so that
# checkpoints of running jobs would no longer load, and refuses parameters that no loss reaches.


def full_optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its state_dict with whole tensors, the same for any number of processes."""
    saved = optimizer.state_dict()
    whole_state = {
        number: {
            name: full_tensor(value) if isinstance(value, Tensor) else value
            for name, value in entries.items()
        }
        for number, entries in saved["state"].items()
    }
    return saved | {"state": whole_state}


def load_optimizer_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load what `full_optimizer_state` returned, in any number of processes."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    sharded = {
        number: {
            name: shard_like(parameters[number], value)
            if isinstance(value, Tensor) and value.shape == parameters[number].shape
            else value
            for name, value in entries.items()
        }
        for number, entries in saved["state"].items()
    }
    optimizer.load_state_dict(saved | {"state": sharded})
