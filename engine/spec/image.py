"""Image classification: one image in, one label out."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.catalog import CATALOG
from engine.spec.shared import (
    FAIRNESS_COLUMNS,
    SPLIT_COLUMN,
    TARGET_COLUMN,
    ClassWeights,
    ColumnRole,
    EarlyStoppingPatience,
    JobSpec,
    LoopHyperparameters,
    Schedule,
    SplitSpec,
    epochs_for_steps,
    validate_distinct_columns,
)

# A small dataset needs as many steps as a large one, from images augmented otherwise each time.
AUTOMATIC_STEPS = 300
AUTOMATIC_EPOCHS = (5, 60)


class ImageHyperparameters(LoopHyperparameters):
    """How to train on pictures. The defaults are meant to win without tuning."""

    method: Literal["auto", "full", "head"] = Field(
        default="auto",
        title="Method",
        description=(
            "full: every weight of the network learns. head: a linear layer on frozen features,"
            " those of the base model or, from scratch, outlines and colours; ten times quicker."
            " auto does both and keeps the one, or the mean of both, that validation rows prefer;"
            " with EfficientNet-Lite0 it is head, unless mixup is chosen."
        ),
    )
    image_size: int = Field(
        default=0,
        ge=0,
        le=512,
        title="Picture size",
        description="Pixels each way that the model sees. 0 takes what suits the base model.",
        json_schema_extra={"automatic": 0},
    )
    augmentation: Literal["none", "light", "strong"] = Field(
        default="strong",
        title="Augmentation",
        description=(
            "Training pictures are mirrored, cut and coloured otherwise in every epoch. light"
            " leaves colours alone; none suits pictures where left and right matter. The method"
            " head mirrors them at most."
        ),
    )
    mixup: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Mixup",
        description=(
            "Training pictures are blended with others of their batch, labels likewise; the larger"
            " the number, the more even the blend. 0.2 is usual with few pictures. 0: off."
        ),
    )
    batch_rows: int = Field(
        default=32,
        ge=1,
        le=4096,
        title="Pictures per batch",
        description="Less needs less memory.",
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=0.9,
        title="Dropout",
        description="Share of the last layer's signals silenced at random while training.",
    )
    label_smoothing: float = Field(
        default=0.05,
        ge=0,
        lt=0.5,
        title="Label smoothing",
        description="Share of belief spread over the other labels; helps when labels are noisy.",
    )
    class_weights: ClassWeights = "none"
    schedule: Schedule = "cosine"
    early_stopping_patience: EarlyStoppingPatience = 15

    @property
    def is_fitted_directly(self) -> bool:
        return self.method == "head"

    def for_trial(self) -> Self:
        """The network alone: a search varies nothing of the layer on frozen features."""
        return self.model_copy(update={"method": "full"})

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

    @model_validator(mode="after")
    def _validate_mixup(self) -> Self:
        if self.mixup and self.method == "head":
            raise ValueError(
                "Mixup blends pictures in every epoch, and the method head reads each once: use"
                " auto or full, or no mixup."
            )
        return self

    @model_validator(mode="after")
    def _validate_image_size(self) -> Self:
        if 0 < self.image_size < 32 or self.image_size % 8:
            raise ValueError("image_size must be 0, or at least 32 and a multiple of 8.")
        return self


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
        SPLIT_COLUMN,
        FAIRNESS_COLUMNS,
    )

    task: Literal["image-classification"]
    image_column: str = Field(min_length=1)
    target_column: str = Field(min_length=1)
    base_model: str = Field(default="efficientnet-lite0", description="An id of engine.catalog.")
    # More than texts get: the choice between models rests on these rows.
    split: SplitSpec = SplitSpec(validation_fraction=0.15, test_fraction=0.15)
    hyperparameters: ImageHyperparameters = ImageHyperparameters()

    @property
    def effective_method(self) -> str:
        """The method; "auto" is what the base model says, but a search is for the network, and only
        a network learns from blended pictures."""
        entry, method = CATALOG.get(self.base_model), self.hyperparameters.method
        needs_network = self.search is not None or self.hyperparameters.mixup > 0
        if entry is None or method != "auto" or needs_network:
            return method
        return entry.automatic_method

    @model_validator(mode="after")
    def _validate_columns(self) -> Self:
        validate_distinct_columns(
            [self.image_column], [self.target_column], "picture", self.part_column
        )
        return self
