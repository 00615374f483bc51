"""Tensors that several processes hold in parts, made whole and divided again."""

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def full_tensor(tensor: Tensor) -> Tensor:
    """The tensor itself, or put together from every process's part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(present: Tensor, tensor: Tensor) -> Tensor:
    """This process's part of a whole tensor, where the present one is in parts."""
    if not isinstance(present, DTensor):
        return tensor
    placed = tensor.to(present.device_mesh.device_type)
    return distribute_tensor(placed, present.device_mesh, present.placements)
