"""How the processes of one job share its network: not at all, a copy each, or a part each.

The same steps come out in all three: gradients are sums over every process's rows, each weighed
as in the whole step. State goes in and out whole, so that any number of processes can resume.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from engine import distributed
from engine.batching import Batch, pieces
from engine.errors import BadTrainingData
from engine.fitting import fixed_bytes
from engine.spec import LoopHyperparameters

if TYPE_CHECKING:
    from engine.training import Learner

State = dict[str, Tensor]
# Above this share of free memory, gradients and optimizer state are not kept whole.
LARGE = 0.6


class Alone:
    """One process has everything; also what the other two ways have in common."""

    share_of_state = 1.0  # Of gradients and optimizer state, in this process.

    def __init__(self, learner: "Learner") -> None:
        self._learner = learner

    def loss(self, rows: Batch) -> Tensor:
        return self._learner.loss(rows)

    def parts_of(self, step: list[Batch], halvings: int) -> tuple[list[Batch], int]:
        """What this process computes of a step, one by one, and how often it must take part with
        rows that count nothing, because the others have more."""
        shares = distributed.shares_of(step)
        parts = [[piece for rows in share for piece in pieces(rows, halvings)] for share in shares]
        own = parts[distributed.number()]
        return own, self._rounds(list(map(len, parts))) - len(own)

    def _rounds(self, counts: list[int]) -> int:
        """How often this process must compute, given how many parts each has."""
        return max(1, counts[distributed.number()])

    @contextmanager
    def adding_up(self, *, is_last: bool) -> Iterator[None]:
        """Around forward and backward of one part of a step; others are told after the last."""
        yield

    def learnt(self) -> State:
        """What training changes: parameters that learn, once each, and buffers. Frozen weights
        come from the base model again."""
        network = self._learner.network
        names = {name for name, one in network.named_parameters() if one.requires_grad}
        names |= {name for name, _ in network.named_buffers()}
        state = network.state_dict()
        return {name: whole(tensor) for name, tensor in state.items() if name in names}

    def load(self, state: State) -> None:
        """Put back what `learnt` took; raises RuntimeError when it was of another network."""
        network = self._learner.network
        present = network.state_dict()
        fitted = {
            name: divided_like(present[name], tensor) if name in present else tensor
            for name, tensor in state.items()
        }
        missing, unexpected = network.load_state_dict(fitted, strict=False)
        learns = {name for name, one in network.named_parameters() if one.requires_grad}
        lost = set(missing) & (learns | {name for name, _ in network.named_buffers()})
        lost &= set(present)  # Buffers that are never saved are made anew.
        if lost or unexpected:
            raise RuntimeError(f"The checkpoint does not fit the network: {sorted(lost)[:3]}")

    def release(self) -> None:
        """Leave the network as a plain one, with everything learnt in it."""


class Copies(Alone):
    """Every process has the whole network; gradients are added up while they are computed."""

    def __init__(self, learner: "Learner") -> None:
        super().__init__(learner)
        distributed.equalise(learner.network)
        self._wrapped = DistributedDataParallel(
            _Loss(learner),
            init_sync=False,
            broadcast_buffers=False,
            find_unused_parameters=True,  # Base models carry parts that no loss reaches.
            gradient_as_bucket_view=True,
        )

    def loss(self, rows: Batch) -> Tensor:
        loss: Tensor = self._wrapped(rows)
        return loss

    @contextmanager
    def adding_up(self, *, is_last: bool) -> Iterator[None]:
        if is_last:
            yield
        else:
            with self._wrapped.no_sync():
                yield


class _Loss(nn.Module):
    """A learner's loss as a module, for what hooks into modules."""

    def __init__(self, learner: "Learner") -> None:
        super().__init__()
        self.network = learner.network
        self._learner = learner

    def forward(self, rows: Batch) -> Tensor:
        return self._learner.loss(rows)


class Parts(Alone):
    """Every process has a part of each weight, its gradient and optimizer state; whole weights
    exist only while a layer computes."""

    def __init__(self, learner: "Learner", device: str) -> None:
        super().__init__(learner)
        network = learner.network
        distributed.equalise(network)
        self.share_of_state = 1 / distributed.count()
        self._plain = {module: (type(module), _outline(module)) for module in network.modules()}
        mesh = init_device_mesh(device, (distributed.count(),))
        for layer in [*_layers(network), network]:
            fully_shard(layer, mesh=mesh)
        for module in self._sharded():  # Once now: inference mode would spoil the buffers made.
            module.unshard()
        self._reshard()

    def _sharded(self) -> list[FSDPModule]:
        return [one for one in self._plain if isinstance(one, FSDPModule)]

    def _rounds(self, counts: list[int]) -> int:
        return max(counts)  # Every forward pass gathers weights from all.

    def _reshard(self) -> None:
        for module in self._sharded():
            module.reshard()

    @contextmanager
    def adding_up(self, *, is_last: bool) -> Iterator[None]:
        for module in self._sharded():
            module.set_requires_gradient_sync(is_last)
        yield

    def learnt(self) -> State:
        self._reshard()
        return super().learnt()

    def load(self, state: State) -> None:
        self._reshard()
        super().load(state)

    def release(self) -> None:
        self._reshard()
        made: dict[int, nn.Parameter] = {}  # Tied weights stay tied.
        for module, (kind, outline) in self._plain.items():
            parameters = dict(module._parameters)
            module.__class__ = kind
            module.__dict__.clear()
            module.__dict__.update(outline)
            for name, one in parameters.items():
                if one is not None and id(one) not in made:
                    made[id(one)] = nn.Parameter(whole(one.detach()), one.requires_grad)
                module._parameters[name] = None if one is None else made[id(one)]


def share(
    learner: "Learner", hyperparameters: LoopHyperparameters, device: str, free_bytes: float
) -> Alone:
    """As the hyperparameters say, or by what fits. Raises BadTrainingData for what parts cannot."""
    if distributed.count() == 1:
        return Alone(learner)
    wanted = hyperparameters.sharding
    if wanted == "auto":
        state = fixed_bytes(learner.network, hyperparameters.optimizer)
        is_large = distributed.is_any(state > LARGE * free_bytes)
        wanted = "full" if is_large and not _obstacle(hyperparameters) else "none"
    # Dropout must not fall alike on different rows.
    torch.manual_seed(hyperparameters.seed + distributed.number())
    if wanted == "none":
        return Copies(learner)
    if obstacle := _obstacle(hyperparameters):
        raise BadTrainingData("bad_spec", f"sharding: full does not go with {obstacle}.")
    return Parts(learner, device)


def _obstacle(hyperparameters: LoopHyperparameters) -> str:
    """What of the hyperparameters needs whole weights, or nothing."""
    if hyperparameters.optimizer == "adafactor":
        return "the optimizer adafactor; choose adamw or sgd"
    if hyperparameters.precision == "fp16":
        return "the precision fp16; choose bf16 or fp32"
    if getattr(hyperparameters, "adversarial", 0):
        return "adversarial training"
    return ""


def _layers(network: nn.Module) -> list[nn.Module]:
    """The repeated blocks, innermost first: each is gathered by itself."""
    lists = [module for module in network.modules() if isinstance(module, nn.ModuleList)]
    blocks = [block for one in lists for block in one if next(block.parameters(), None) is not None]
    return blocks[::-1]


def _outline(module: nn.Module) -> dict[str, Any]:
    """A module's attributes as they are, but for its parameters, which would be kept alive."""
    copied = {
        name: value.copy() if isinstance(value, dict) else value
        for name, value in module.__dict__.items()
    }
    return copied | {"_parameters": dict.fromkeys(module._parameters)}


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, or put together from every process's part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def divided_like(present: Tensor, tensor: Tensor) -> Tensor:
    """This process's part of a whole tensor, where the present one is in parts."""
    if not isinstance(present, DTensor):
        return tensor
    placed = tensor.to(present.device_mesh.device_type)
    return distribute_tensor(placed, present.device_mesh, present.placements)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its state_dict with whole tensors, alike for any number of processes."""
    saved = optimizer.state_dict()
    whole_state = {
        number: {
            name: whole(value) if isinstance(value, Tensor) else value
            for name, value in facts.items()
        }
        for number, facts in saved["state"].items()
    }
    return saved | {"state": whole_state}


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Put back what optimizer_state took, by any number of processes."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    divided = {
        number: {
            name: divided_like(parameters[number], value)
            if isinstance(value, Tensor) and value.shape == parameters[number].shape
            else value
            for name, value in facts.items()
        }
        for number, facts in saved["state"].items()
    }
    optimizer.load_state_dict(saved | {"state": divided})
