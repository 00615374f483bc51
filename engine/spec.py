"""What a training job is told, frozen. Forms, API bodies and documentation are made from it."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Below this many optimiser steps a small dataset is under-trained at three epochs (369 banking77
# rows: accuracy 0.64 after 12 steps, 0.79 after 120).
AUTOMATIC_STEPS = 160
AUTOMATIC_EPOCHS = (3, 12)
TYPICAL_ROWS_PER_STEP = 24


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class SplitSpec(Frozen):
    """How rows are divided. Everything not held out is trained on: 85 / 5 / 10 by default."""

    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        title="Split seed",
        description="Same seed, same split.",
    )
    validation_fraction: float = Field(
        default=0.05,
        gt=0,
        le=0.4,
        title="Validation share",
        description="Rows that choose the best epoch; never trained on.",
    )
    test_fraction: float = Field(
        default=0.10,
        gt=0,
        le=0.5,
        title="Test share",
        description="Rows nobody looks at before the final report.",
    )
    column: str | None = Field(
        default=None,
        title="Split column",
        description="A column saying train, validation or test for each row, instead of a draw.",
    )


class Hyperparameters(Frozen):
    """How to train. The defaults are meant to win without tuning."""

    method: Literal["full", "probe"] = Field(
        default="full",
        title="Method",
        description=(
            "full: every weight learns. probe: the base model stays as it is and only a linear"
            " layer on top learns; about ten times quicker, often nearly as good."
        ),
    )
    epochs: int = Field(
        default=0,
        ge=0,
        le=100,
        title="Epochs",
        description="Passes over the training rows. 0 chooses: 3, and more for small data.",
    )
    learning_rate: float = Field(
        default=0.0,
        ge=0,
        le=0.01,
        title="Learning rate",
        description="Of the base model's weights. 0 takes the base model's recommended rate.",
    )
    head_learning_rate: float = Field(
        default=0.002,
        gt=0,
        le=0.1,
        title="Head learning rate",
        description="Of the layer on top, which starts as the quick probe and may learn faster.",
    )
    batch_tokens: int = Field(
        default=512,
        ge=32,
        le=131_072,
        title="Tokens per batch",
        description=(
            "Rows of similar length share a batch up to this many tokens. Less needs less memory;"
            " at least 16 rows are always gathered before the weights move."
        ),
    )
    max_length: int = Field(
        default=256,
        ge=8,
        le=8192,
        title="Longest text in tokens",
        description="Longer texts are cut. Shortened to what the base model can read.",
    )
    warmup_fraction: float = Field(
        default=0.1,
        ge=0,
        le=0.9,
        title="Warm-up share",
        description="Share of the steps in which the learning rate rises from zero.",
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=1,
        title="Weight decay",
        description="Pulls weights towards zero; not applied to biases, norms and embeddings.",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        title="Label smoothing",
        description="Share of belief spread over the other labels; helps when labels are noisy.",
    )
    early_stopping_patience: int = Field(
        default=2,
        ge=0,
        le=100,
        title="Patience",
        description="Stop after this many epochs without a better validation score. 0: never.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto",
        title="Precision",
        description="auto takes bf16 where the device computes it natively, else fp32.",
    )
    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, title="Seed", description="Same seed, same model."
    )

    def planned_epochs(self, train_rows: int) -> int:
        """The epochs that 0 stands for: enough for AUTOMATIC_STEPS, within bounds."""
        if self.epochs:
            return self.epochs
        fewest, most = AUTOMATIC_EPOCHS
        wanted = -(-AUTOMATIC_STEPS * TYPICAL_ROWS_PER_STEP // max(1, train_rows))
        return min(most, max(fewest, wanted))


class TrainingSpec(Frozen):
    """One training job: data in, artifact folder out."""

    task: Literal["text-classification"] = "text-classification"
    data: Path = Field(description="Parquet file with all rows.")
    text_columns: list[str] = Field(min_length=1, description="Joined in this order.")
    target_column: str = Field(min_length=1)
    base_model: str = Field(default="all-MiniLM-L6-v2", description="An id of engine.catalog.")
    output: Path = Field(description="Artifact folder to create; must not exist.")
    work: Path = Field(description="Scratch folder; checkpoints live under checkpoints/.")
    resume_from: Path | None = Field(default=None, description="A complete checkpoint folder.")
    split: SplitSpec = SplitSpec()
    hyperparameters: Hyperparameters = Hyperparameters()
    threads: int | None = Field(default=None, ge=1, le=1024, description="None: as many as cores.")
    checkpoint_seconds: float = Field(
        default=20, gt=0, description="Longest wait for a checkpoint."
    )
    nice: bool = Field(default=False, description="Yield the processor to other programs.")

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        if self.target_column in self.text_columns:
            raise ValueError(f"{self.target_column!r} cannot be both text and target column.")
        if len(set(self.text_columns)) < len(self.text_columns):
            raise ValueError("A text column is named twice.")
        return self
