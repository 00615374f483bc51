"""What the tasks share: a job before its first step, the parity of exact exports, and the
comparison of an exported form with its original."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from engine import catalog
from engine.artifact import Manifest, verify
from engine.catalog import BaseModelEntry
from engine.data.splitting import Split
from engine.errors import BrokenExport
from engine.events import DatasetLoaded, Reporter
from engine.export.single_file import with_variant_comparison
from engine.export.variant_comparison import ModelVariant, VariantComparison, compare_variants
from engine.loop.checkpoints import TrainingState
from engine.loop.device import Device
from engine.loop.training_summary import TrainingSummary, build_training_summary
from engine.spec import ExportSpec, JobSpec
from engine.tasks import DataSummary, EvaluationResult

Rows = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
AnySpec = TypeVar("AnySpec", bound=JobSpec)


class FitResult(Protocol):
    """What `fit` of any task leaves for the manifest."""

    @property
    def method(self) -> str:
        """The method that was kept."""

    @property
    def reason(self) -> str:
        """Why it is not the one asked for; empty where it is."""

    @property
    def state(self) -> TrainingState: ...

    @property
    def seconds(self) -> float:
        """Of all attempts."""


@dataclass
class PreparedJob(Generic[AnySpec]):
    """Everything known before the first step. Row numbers count the usable rows."""

    spec: AnySpec
    split: Split
    device: Device
    warnings: list[str]

    @property
    def base_model(self) -> BaseModelEntry:
        return catalog.get_base_model(self.spec.base_model)

    @property
    def is_from_scratch(self) -> bool:
        """Whether training starts from random weights."""
        return self.base_model.source.kind == "scratch"

    @property
    def recommended_learning_rate(self) -> float:
        """AdamW's for this base model and method; a rate in the spec goes before it."""
        factor = self.spec.hyperparameters.rate_factor(
            from_scratch=self.is_from_scratch, train_rows=len(self.split.train)
        )
        return self.base_model.learning_rate * factor

    @property
    def export_spec(self) -> ExportSpec:
        """Of an export job."""
        assert self.spec.export is not None
        return self.spec.export

    def held_out_rows(self, fewest: int, most: int) -> Rows:
        """Validation rows, so that choosing the file to serve leaves the test rows untouched;
        training rows fill up where there are fewer than `fewest`."""
        rows = np.concatenate([self.split.validation, self.split.train])
        return rows[: min(max(fewest, len(self.split.validation)), most)]

    def report_dataset(
        self, report: Reporter, labels: list[str], values: Array | None = None
    ) -> None:
        """`values` are every usable row's: label numbers, (rows,), or booleans, (rows, labels)."""
        event = DatasetLoaded(
            train_rows=len(self.split.train),
            validation_rows=len(self.split.validation),
            test_rows=len(self.split.test),
            labels=labels,
            warnings=self.warnings,
            label_rows={} if values is None else self._count_labels(values, len(labels)),
        )
        report(event)

    def _count_labels(self, values: Array, labels: int) -> dict[str, list[int]]:
        """Rows of each label in each part of the split."""
        parts = {
            "train": self.split.train,
            "validation": self.split.validation,
            "test": self.split.test,
        }
        return {
            part: (
                np.bincount(values[rows], minlength=labels)
                if values.ndim == 1
                else values[rows].sum(axis=0)
            ).tolist()
            for part, rows in parts.items()
        }

    def data_summary(self) -> DataSummary:
        """The part of the report's data section that all tasks have."""
        return DataSummary(
            train_rows=len(self.split.train),
            validation_rows=len(self.split.validation),
            test_rows=len(self.split.test),
            split=self.spec.effective_split.sentence,
            warnings=self.warnings,
        )

    def training_summary(self, trained: FitResult) -> TrainingSummary:
        """The manifest's `training`."""
        return build_training_summary(
            self.spec,
            self.device,
            trained.state,
            method=trained.method,
            reason=trained.reason,
            seconds=trained.seconds,
        )


class ExactParity(TypedDict, total=False):
    """One file that must compute what the trained model computes but for rounding."""

    rows: int
    largest_logit_difference: float
    label_agreement: float  # Not of numbers.
    accepted: bool
    reason: str


def require_exact_parity(
    expected: Sequence[Array], outputs: Sequence[Array], limit: float, *, has_labels: bool = True
) -> ExactParity:
    """Compares the outputs of the same rows. Raises BrokenExport when they differ by more."""
    pairs = list(zip(expected, outputs, strict=True))
    differences = [np.abs(one - other).max() for one, other in pairs]
    difference = float(np.max(differences, initial=0.0))  # NaN if any is, unlike Python's max.
    if not difference <= limit:
        raise BrokenExport(
            "The exported model does not compute what the trained model computes"
            f" (largest difference {difference:.3g}). Nothing was charged; please tell support."
        )
    parity = ExactParity(
        rows=len(pairs),
        largest_logit_difference=difference,
        accepted=True,
        reason=f"kept: largest difference at most {limit}",
    )
    if has_labels:
        same = [(one.argmax(-1) == other.argmax(-1)).mean() for one, other in pairs]
        parity["label_agreement"] = float(np.mean(same))
    return parity


def compare_with_original(
    evaluated: EvaluationResult,
    export: ExportSpec,
    folder: Path,
    manifest: Manifest,
    measure: Callable[[Path, Manifest, str], ModelVariant],
) -> EvaluationResult:
    """The same evaluation, whose report also compares the form in `folder` with its original.

    `measure` runs the artifact of a folder on the test rows, under a name.
    """

    def card() -> VariantComparison:
        original = measure(export.source, verify(export.source), "original")
        return compare_variants(export, original, measure(folder, manifest, export.format))

    return with_variant_comparison(evaluated, card)
