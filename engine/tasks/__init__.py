"""What the engine can teach: one module for each task, imported only when a job needs it.

A new task is one module with a `TASK`, a line in MODULES, one in `engine.serving.SERVED`, and
entries in the catalog. Phases, stopping, timing and publishing are `engine.job`'s.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from engine.artifact import Manifest
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.progress import JobClock
from engine.stopping import StopSignal

if TYPE_CHECKING:
    from engine.evaluation import Contender, TestRows

MODULES: dict[str, str] = {
    "text-classification": "engine.tasks.text",
    "text-regression": "engine.tasks.text",
    "tabular-classification": "engine.tasks.tabular",
    "tabular-regression": "engine.tasks.tabular",
    "image-classification": "engine.tasks.image_classification",
    "text-generation": "engine.tasks.text_generation",
}


# Of finished models: the same five things, whose result is another form of the model.
EXPORTERS: dict[str, str] = {
    "text-classification": "engine.tasks.text_export",
    "text-regression": "engine.tasks.text_export",
    "tabular-classification": "engine.tasks.tabular_export",
    "tabular-regression": "engine.tasks.tabular_export",
    "image-classification": "engine.tasks.image_export",
    "text-generation": "engine.tasks.generation_export",
}


class Evaluated(NamedTuple):
    """The served file's answers on the test rows; the report and the predictions are made of it."""

    given: Any  # Answers or another shape of engine.metrics.
    rows: "TestRows"
    contenders: "list[Contender]"  # Their answers in the same shape.
    data: dict[str, Any]  # What the report says of the data: row counts, warnings, …
    # Further parts of the report that need the model: robustness, explanations. Given the report.
    checks: Callable[[dict[str, Any]], dict[str, Any]] | None = None


Prepared = TypeVar("Prepared")
Trained = TypeVar("Trained")


class Task(Protocol[Prepared, Trained]):
    """The five things a task does, in their order. Each may raise EngineError or StopRequested."""

    def prepare(self, spec: Any, clock: JobClock, report: Reporter) -> Prepared:
        """Read, divide and encode the rows, load the base model, report the Data event. Enters
        the phases loading, perhaps downloading, and preparing."""

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        """Seconds each phase would take on the machine the constants were measured on."""

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        """Train, usually by engine.training.TrainingLoop, resuming where the spec says."""

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        """Write weights, served files and preprocessing; raise BrokenExport without parity."""

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        """Ask the very file that will be served about the untouched test rows."""


def find(task: str, *, is_export: bool = False) -> Task[Any, Any]:
    """The task's code; raises BadTrainingData for one this version does not know."""
    modules = EXPORTERS if is_export else MODULES
    if task not in modules:
        words = "cannot export models of the task" if is_export else "has no task"
        raise BadTrainingData("bad_spec", f"The engine {words} {task!r}.")
    found: Task[Any, Any] = import_module(modules[task]).TASK
    return found
