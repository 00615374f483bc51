"""A trainer's presence: tells the registry that it lives, busy or idle, and obeys its operator.

Runs in Celery's main process, beside the pool process that carries jobs, so that a long job or a
quiet queue never makes a trainer look dead.
"""

import logging
import os
import signal
import socket
import threading
from typing import Any

from celery.signals import celeryd_init, worker_ready, worker_shutdown
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from training import hardware, registry
from training.models import ComputeClass, Wish

logger = logging.getLogger(__name__)

NAME = "LATHE_WORKER_NAME"  # In the environment, which the pool's processes inherit.
QUEUES = "compute."


def worker_name() -> str:
    """This trainer's name on pages: Celery's node name, or its machine and process without one."""
    return os.environ.get(NAME) or f"{socket.gethostname()}-{os.getpid()}"


class Presence(threading.Thread):
    """Speaks for one trainer until it ends."""

    def __init__(self, name: str, compute_class: str, slots: int) -> None:
        super().__init__(daemon=True, name="presence")
        self._name, self._class, self._slots = name, compute_class, slots
        self._over = threading.Event()
        self._is_known = False

    def run(self) -> None:
        devices = self._devices()
        while not self._over.is_set():
            try:
                self._speak(devices)
            except DatabaseError as error:
                logger.warning("%s could not be announced: %s", self._name, error)
                connection.close()
            self._over.wait(settings.HEARTBEAT_SECONDS)
        connection.close()

    def end(self) -> None:
        """Say goodbye; returns when it was said or could not be."""
        self._over.set()
        self.join(10)
        try:
            registry.goodbye(self._name)
        except DatabaseError as error:
            logger.warning("%s could not say goodbye: %s", self._name, error)

    def _devices(self) -> list[dict[str, Any]]:
        kind = ComputeClass.objects.filter(pk=self._class).values_list("device", flat=True)
        return [dict(device) for device in hardware.devices_of(kind.first() or "cpu")]

    def _speak(self, devices: list[dict[str, Any]]) -> None:
        if not self._is_known:
            if not ComputeClass.objects.filter(pk=self._class).exists():
                logger.error("There is no compute class %r: add it in the admin.", self._class)
                return
            registry.hello(self._name, self._class, devices=devices, slots=self._slots)
            self._is_known = True
        if registry.beat(self._name) == Wish.STOP:
            logger.warning("An operator stops this trainer.")
            self._over.set()
            # A warm shutdown: the running job sees it, saves its state and is handed back.
            os.kill(os.getpid(), signal.SIGTERM)


_present: list[Presence] = []


@celeryd_init.connect
def _name(sender: str, **_: object) -> None:
    os.environ[NAME] = str(sender)


@worker_ready.connect
def _appear(sender: Any, **_: object) -> None:
    codes = sorted(
        name.removeprefix(QUEUES)
        for name in sender.app.amqp.queues.consume_from
        if name.startswith(QUEUES)
    )
    if codes:
        presence = Presence(sender.hostname, codes[0], sender.pool.num_processes)
        _present.append(presence)
        presence.start()


@worker_shutdown.connect
def _disappear(**_: object) -> None:
    while _present:
        _present.pop().end()
