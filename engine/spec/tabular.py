"""Tabular classification and regression: feature columns of any type in, a label or number out."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.spec.shared import (
    TARGET_COLUMN,
    ColumnRole,
    JobSpec,
    LoopHyperparameters,
    refuse_shared_columns,
)


class TabularHyperparameters(LoopHyperparameters):
    """How to train on tables."""

    batch_rows: int = Field(
        default=256, ge=1, le=65_536, title="Rows per batch", description="More is quicker."
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
    )

    task: Literal["tabular-classification", "tabular-regression"]
    feature_columns: list[str] = Field(default=[], description="Empty: all but the target.")
    target_column: str = Field(min_length=1)
    hyperparameters: TabularHyperparameters = TabularHyperparameters()

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        refuse_shared_columns(self.feature_columns, self.target_column, "feature")
        return self
