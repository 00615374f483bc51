"""Image classification: one picture in, one label out."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.spec.shared import (
    FAIRNESS_COLUMNS,
    TARGET_COLUMN,
    ColumnRole,
    JobSpec,
    LoopHyperparameters,
    refuse_shared_columns,
)


class ImageHyperparameters(LoopHyperparameters):
    """How to train on pictures."""

    batch_rows: int = Field(
        default=32,
        ge=1,
        le=4096,
        title="Pictures per batch",
        description="Less needs less memory.",
    )


class ImageSpec(JobSpec):
    """A column of encoded pictures (bytes of PNG, JPEG or WebP) in, a label out."""

    roles: ClassVar[tuple[ColumnRole, ...]] = (
        ColumnRole(
            field="image_column",
            title="Picture",
            help="What the model looks at.",
            types=("image",),
        ),
        TARGET_COLUMN,
        FAIRNESS_COLUMNS,
    )

    task: Literal["image-classification"]
    image_column: str = Field(min_length=1)
    target_column: str = Field(min_length=1)
    hyperparameters: ImageHyperparameters = ImageHyperparameters()

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        refuse_shared_columns([self.image_column], self.target_column, "picture")
        return self
