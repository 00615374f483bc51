"""Work that cannot wait until a network has computed its layers, done between two of them."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from torch import nn


@contextlib.contextmanager
def between_layers(network: nn.Module, work: Callable[[], None]) -> Iterator[None]:
    """While the block lasts, call `work` before each layer that this thread computes.

    `work` may compute with the same network: what a layer needs is in its arguments, so nothing of
    the interrupted computation changes.
    """
    thread = threading.get_ident()

    def interrupt(*_: object) -> None:
        if threading.get_ident() == thread:  # Others compute with the network, too.
            work()

    handles = [layer.register_forward_pre_hook(interrupt) for layer in _layers_of(network)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _layers_of(network: nn.Module) -> nn.ModuleList | tuple[()]:
    """The longest list of modules: whatever an architecture calls it, its layers are in one."""
    lists = (module for module in network.modules() if isinstance(module, nn.ModuleList))
    return max(lists, key=len, default=())
