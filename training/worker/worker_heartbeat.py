"""A trainer's heartbeat: renews its row, busy or idle, and stops the trainer when told to.

Runs in Celery's main process, beside the pool process that runs jobs, so that a long job or an
empty queue never makes a trainer look dead.
"""

import logging
import os
import signal
import threading
from typing import Any

from celery.signals import celeryd_init, worker_ready, worker_shutdown
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from training.models import ComputeClass, DesiredState
from training.models.compute_class import QUEUE_PREFIX
from training.models.worker import DeviceInfo
from training.scheduling import workers
from training.worker.devices import detect_devices

logger = logging.getLogger(__name__)

# In the environment, which the pool's processes inherit.
WORKER_NAME_VARIABLE = "LATHE_WORKER_NAME"


class WorkerHeartbeat(threading.Thread):
    """Renews one trainer's row every HEARTBEAT_SECONDS until it ends."""

    def __init__(self, name: str, compute_class: str, slots: int) -> None:
        super().__init__(daemon=True, name="worker-heartbeat")
        self._name, self._compute_class, self._slots = name, compute_class, slots
        self._stop_requested = threading.Event()
        self._is_registered = False

    def run(self) -> None:
        kind = ComputeClass.objects.filter(pk=self._compute_class).values_list("device", flat=True)
        devices = detect_devices(kind.first() or "cpu")
        while not self._stop_requested.is_set():
            try:
                self._report(devices)
            except DatabaseError as error:
                logger.warning("%s could not send its heartbeat: %s", self._name, error)
                connection.close()
            self._stop_requested.wait(settings.HEARTBEAT_SECONDS)
        connection.close()

    def stop(self) -> None:
        """Mark the trainer as stopped, if the database can be reached."""
        self._stop_requested.set()
        self.join(10)
        try:
            workers.deregister(self._name)
        except DatabaseError as error:
            logger.warning("%s could not be deregistered: %s", self._name, error)

    def _report(self, devices: list[DeviceInfo]) -> None:
        if not self._is_registered:
            if not ComputeClass.objects.filter(pk=self._compute_class).exists():
                logger.error(
                    "There is no compute class %r: add it in the admin.", self._compute_class
                )
                return
            workers.register(self._name, self._compute_class, devices=devices, slots=self._slots)
            self._is_registered = True
        if workers.heartbeat(self._name) == DesiredState.STOP:
            logger.warning("An operator stops this trainer.")
            self._stop_requested.set()
            # A warm shutdown: the running job saves its state and goes back to the queue.
            os.kill(os.getpid(), signal.SIGTERM)


_heartbeats: list[WorkerHeartbeat] = []


@celeryd_init.connect
def _export_worker_name(sender: str, **_: object) -> None:
    os.environ[WORKER_NAME_VARIABLE] = str(sender)


@worker_ready.connect
def _start_heartbeat(sender: Any, **_: object) -> None:
    codes = sorted(
        name.removeprefix(QUEUE_PREFIX)
        for name in sender.app.amqp.queues.consume_from
        if name.startswith(QUEUE_PREFIX)
    )
    if codes:
        heartbeat = WorkerHeartbeat(sender.hostname, codes[0], sender.pool.num_processes)
        _heartbeats.append(heartbeat)
        heartbeat.start()


@worker_shutdown.connect
def _stop_heartbeats(**_: object) -> None:
    while _heartbeats:
        _heartbeats.pop().stop()
