"""Networks are made and loaded one at a time in a process.

While transformers makes or fills a network, it replaces initialisers of torch for the whole process
and keeps new weights on the device "meta". A network that another thread makes meanwhile comes out
with random weights, and nothing says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_lock = RLock()


@contextmanager
def one_network_at_a_time() -> Iterator[None]:
    """Around each call that makes or loads a network of transformers; also as a decorator."""
    with _lock:
        yield
