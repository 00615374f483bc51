"""The tasks the engine can train: one package for each family, imported only when a job needs it.

A new task is a module with a `TASK`, a line in TASK_MODULES, one in `engine.serving.MODEL_CLASSES`,
and entries in the catalog. Phases, stopping, timing and publishing are `engine.pipeline`'s.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict, TypeVar

from engine.artifact import Manifest
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal

if TYPE_CHECKING:
    from engine.data.label_issues import LabelIssue
    from engine.data.learning_curve import LearningCurve
    from engine.evaluation import Contender, ModelPredictions, Refit, Report, TestRows

TASK_MODULES: dict[str, str] = {
    "text-classification": "engine.tasks.text.task",
    "text-regression": "engine.tasks.text.task",
    "tabular-classification": "engine.tasks.tabular.task",
    "tabular-regression": "engine.tasks.tabular.task",
    "image-classification": "engine.tasks.image.task",
    "text-generation": "engine.tasks.generation.task",
}
# The same five steps for a finished model, whose result is another form of it.
EXPORT_MODULES: dict[str, str] = {
    "text-classification": "engine.tasks.text.export",
    "text-regression": "engine.tasks.text.export",
    "tabular-classification": "engine.tasks.tabular.export",
    "tabular-regression": "engine.tasks.tabular.export",
    "image-classification": "engine.tasks.image.export",
    "text-generation": "engine.tasks.generation.export",
}


class FoldMetric(TypedDict):
    """One metric over the folds of a cross-validation."""

    mean: float
    deviation: float
    values: list[float]


class CrossValidation(TypedDict):
    folds: int
    method: str
    metrics: dict[str, FoldMetric]


class DataSummary(TypedDict, total=False):
    """The report's `data` section."""

    train_rows: int
    validation_rows: int
    test_rows: int
    split: str  # How the rows were divided, as a sentence.
    warnings: list[str]
    labels: int  # Below: what only some tasks have.
    features: list[dict[str, object]]
    cut_rows: int
    mean_tokens: float
    picture_size: str
    cross_validation: CrossValidation
    learning_curve: "LearningCurve"
    label_issues: "list[LabelIssue]"  # Of training rows, the surest first.


class ExtraSections(TypedDict, total=False):
    """Parts of a report that need the model: they are added to it, or replace its sentences."""

    headline: str
    next_step: str
    robustness: dict[str, object]
    explanations: dict[str, object]
    card: Mapping[str, Any]  # engine.export.variant_comparison's.


class EvaluationResult(NamedTuple):
    """The served file's answers on the test rows; the report and the predictions are made of it."""

    predictions: "ModelPredictions"
    rows: "TestRows"
    contenders: "list[Contender]"  # Their answers in the same shape.
    data: DataSummary
    build_extra_sections: "Callable[[Report], ExtraSections] | None" = None
    refit: "Refit | None" = None  # None: only the test rows can be answered.


Prepared = TypeVar("Prepared")
Trained = TypeVar("Trained")


class Task(Protocol[Prepared, Trained]):
    """The five steps of a job, in their order. Each may raise EngineError or StopRequested."""

    def prepare(self, spec: Any, progress: ProgressTracker, report: Reporter) -> Prepared:
        """Read, split and encode the rows, load the base model, report the Data event. Enters
        the phases loading, perhaps downloading, and preparing."""

    def estimate_phase_seconds(self, prepared: Prepared) -> dict[PhaseName, float]:
        """Seconds each phase would take on the machine the constants were measured on."""

    def fit(
        self, prepared: Prepared, progress: ProgressTracker, report: Reporter, stop: StopSignal
    ) -> Trained:
        """Train, usually by engine.loop.training_loop, from the checkpoint in the spec."""

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        """Write weights, served files and preprocessing; raise BrokenExport without parity."""

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        """Run the very file that will be served on the untouched test rows."""


def load_task(task: str, *, is_export: bool = False) -> Task[Any, Any]:
    """The task's code; raises BadTrainingData for one this version does not know."""
    modules = EXPORT_MODULES if is_export else TASK_MODULES
    if task not in modules:
        problem = "cannot export models of the task" if is_export else "has no task"
        raise BadTrainingData("bad_spec", f"The engine {problem} {task!r}.")
    implementation: Task[Any, Any] = import_module(modules[task]).TASK
    return implementation
