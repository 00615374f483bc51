"""Tabular classification and regression: feature columns of any type in, a label or number out."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.spec.searching import Choices, SearchSpace
from engine.spec.shared import (
    FAIRNESS_COLUMNS,
    SPLIT_COLUMN,
    TARGET_COLUMN,
    ClassWeights,
    ColumnRole,
    EarlyStoppingPatience,
    JobSpec,
    LoopHyperparameters,
    SplitSpec,
    epochs_for_steps,
    validate_distinct_columns,
)

AUTOMATIC_STEPS = 1500
AUTOMATIC_EPOCHS = (4, 40)


class TabularHyperparameters(LoopHyperparameters):
    """How to train on tables. The defaults are meant to win without tuning."""

    search_space: ClassVar[SearchSpace] = LoopHyperparameters.search_space | {
        "batch_rows": Choices(options=(32, 64, 128, 256, 512)),
    }

    method: Literal["auto", "network", "trees", "random_trees", "linear"] = Field(
        default="auto",
        title="Method",
        description=(
            "auto trains a neural network, boosted trees, extremely randomised trees and a linear"
            " model, and answers with the mean of them, weighted by what does best on validation"
            " rows. The others train one."
        ),
    )
    batch_rows: int = Field(
        default=128, ge=1, le=65_536, title="Rows per batch", description="More is quicker."
    )
    dropout: float = Field(
        default=0.15,
        ge=0,
        lt=0.9,
        title="Dropout",
        description="Share of the network's signals silenced at random while training.",
    )
    class_weights: ClassWeights = "none"
    early_stopping_patience: EarlyStoppingPatience = 8

    @property
    def is_fitted_directly(self) -> bool:
        return self.method in ("trees", "random_trees", "linear")

    def for_trial(self) -> Self:
        """The network alone: a search varies nothing of the other members."""
        return self.model_copy(update={"method": "network"})

    def planned_epochs(self, train_rows: int) -> int:
        """The epochs that 0 stands for: enough for AUTOMATIC_STEPS, within bounds."""
        if self.epochs:
            return self.epochs
        return epochs_for_steps(
            AUTOMATIC_STEPS,
            train_rows=train_rows,
            rows_per_step=self.batch_rows,
            bounds=AUTOMATIC_EPOCHS,
        )


class TabularSpec(JobSpec):
    """Feature columns in, a label or a number out."""

    roles: ClassVar[tuple[ColumnRole, ...]] = (
        ColumnRole(
            field="feature_columns",
            title="Features",
            help="What the model sees of each row. None chosen: every column but the target.",
            many=True,
            required=False,
        ),
        TARGET_COLUMN,
        SPLIT_COLUMN,
        FAIRNESS_COLUMNS,
    )

    task: Literal["tabular-classification", "tabular-regression"]
    feature_columns: list[str] = Field(default=[], description="Empty: all but the target.")
    target_column: str = Field(min_length=1)
    base_model: str = Field(default="tabular-network", description="An id of engine.catalog.")
    # More than texts get: the choice between models rests on these rows.
    split: SplitSpec = SplitSpec(validation_fraction=0.15)
    hyperparameters: TabularHyperparameters = TabularHyperparameters()

    @model_validator(mode="after")
    def _validate_columns(self) -> Self:
        validate_distinct_columns(
            self.feature_columns, [self.target_column], "feature", self.part_column
        )
        return self
