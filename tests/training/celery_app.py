"""Celery as the product runs it, but with the engine of tests, which needs no torch."""

from typing import Any

from celery.signals import worker_process_init

from config.celery import app

__all__ = ["app"]


@worker_process_init.connect(weak=False)
def _use_fake_engine(**_: Any) -> None:
    from tests.training import fake_engine

    fake_engine.use()
