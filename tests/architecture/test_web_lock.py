"""requirements-web.txt is enough for web and its workers: everything else is made unimportable."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.architecture.imports import PROJECT
from tests.inference.processes import environment

BLOCKED = """
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in requirements-web.txt", name=name)
sys.meta_path.insert(0, Blocker())
"""
# Pages, endpoints, the workers' tasks, and the child processes that web and its workers start.
WORK = """
import os; os.environ["DEBUG"] = "true"
import django; django.setup()
import config.asgi, config.celery, importlib, pkgutil
config.celery.app.loader.import_default_modules()
from django.urls import get_resolver; get_resolver().url_patterns
for name in ("projects", "accounts", "billing", "web", "training.views", "training.api",
             "training.jobs", "training.queries", "training.forms", "inference.views",
             "inference.api", "inference.openai", "inference.batches", "assistants"):
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(found.name)
import engine.answering.__main__, engine.answering.measuring, engine.serving.text
import engine.serving.embedding_graph, onnx, onnxruntime, sklearn
from django.test import Client
assert Client(SERVER_NAME="localhost").get("/accounts/login/").status_code == 200
assert Client(SERVER_NAME="localhost").get("/healthz").status_code == 200
"""


def norm(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# The sign-in page asks the database which social logins there are.
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_web_image_runs_without_torch_and_all_that_its_lock_does_not_name():
    lock = (PROJECT / "requirements-web.txt").read_text()
    allowed = {norm(name) for name in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.M)}
    blocked = {
        package
        for package, owners in packages_distributions().items()
        if not {norm(owner) for owner in owners} & (allowed | {"pip", "setuptools"})
    }
    assert {"torch", "transformers", "pytest"} <= blocked
    assert not {"django", "celery", "onnxruntime"} & blocked
    done = subprocess.run(
        [sys.executable, "-c", f"BLOCKED = {sorted(blocked)!r}{BLOCKED}{WORK}"],
        cwd=PROJECT, capture_output=True, text=True, timeout=300,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
