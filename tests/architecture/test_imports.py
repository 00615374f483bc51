"""No two modules need each other, not even lazily or for types alone."""

import os
import subprocess
import sys

import pytest

from tests.architecture.imports import PROJECT, import_circles, import_graph, same_worker

pytestmark = same_worker


def test_no_modules_import_each_other():
    assert import_circles(import_graph()) == []


def test_a_circle_is_found_however_it_is_closed():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}, "e": {"e2"}, "e2": {"e3"}, "e3": {"e"}}
    assert import_circles(graph) == [["b", "c"], ["e", "e2", "e3"]]


def test_lazy_and_type_checking_imports_count():
    graph = import_graph()
    assert "inference.serving.main" in graph["inference.management.commands.serve_models"]  # Lazy.
    assert "web.sse" in graph["accounts.notifications.publish"]


LIGHT_ENGINE = [
    "engine",
    "engine.spec",
    "engine.catalog",
    "engine.estimate",
    "engine.serving",
    "engine.artifact",
    "engine.events",
    "engine.errors",
    "engine.tasks",
    "engine.evaluation.schema",
    "engine.tasks.image.data.decoding",
    "engine.tasks.generation.chats",
    "engine.tasks.inspection",
    "engine.answering.scoring",
    "engine.answering.terms",
    "engine.answering.order",
    "engine.answering.bounds",
]


def test_the_light_engine_loads_no_torch():
    modules_left = "{'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    check = f"import sys, {', '.join(LIGHT_ENGINE)}; sys.exit(', '.join({modules_left}) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=PROJECT, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    "task_module", ["accounts", "billing", "projects", "training", "inference", "assistants"]
)
def test_only_celery_imports_a_tasks_module(task_module):
    importers = {
        name for name, targets in import_graph().items() if f"{task_module}.tasks" in targets
    }
    assert importers == set()
